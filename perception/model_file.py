"""Model files and the ids by which their results are logged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from twin.errors import ModelError


def model_file(path: Path) -> Path:
    """The file itself, or the one ``.xml`` file in an OpenVINO model's folder; raises ModelError."""
    if path.is_dir():
        found = sorted(path.glob("*.xml"))
        if len(found) != 1:
            raise ModelError(f"folder '{path}' has {len(found)} .xml files; an OpenVINO model folder has one")
        return found[0]
    if not path.is_file():
        raise ModelError(f"model file '{path}' does not exist; check the path")
    return path


def model_id(path: Path) -> str:
    """Name and content of a model file, such as ``yolox_nano@1f0c9d2a``: a changed model has another id."""
    file = model_file(path)
    weights = [file.with_suffix(".bin")] if file.suffix == ".xml" else []
    digest = hashlib.sha256()
    for part in (file, *weights):
        try:
            with part.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
        except OSError as wrong:
            raise ModelError(f"model file '{part}' cannot be read: {wrong.strerror}; check the path") from None
    return f"{file.stem}@{digest.hexdigest()[:8]}"
