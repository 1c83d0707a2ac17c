"""What picture search embeds with, as the settings and the installed packages allow."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from twin.settings import Settings

if TYPE_CHECKING:
    from retrieval.embedder import Embedder


def embedders(settings: Settings) -> list[Embedder]:
    """What picture search embeds with: one for each kind of view that cameras may send, where its packages are installed.

    Raises:
        ModelError: the settings name a model that cannot be run.
        MissingExtra: or one whose runtime is not installed.
    """
    if find_spec("cv2") is None:
        return []
    from perception.embed import open_embedder
    from perception.models import packaged_if_any

    if settings.embedder is not None:
        return [open_embedder(settings.embedder)]
    found: list[Embedder] = [open_embedder(None)]
    packaged = packaged_if_any("embedder")
    if packaged is not None and any(find_spec(runtime) for runtime in ("openvino", "onnxruntime")):
        found.append(open_embedder(packaged))
    return found
