"""Fetches models that were trained on real pictures, and checks that they are what they should be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import httpx2
from msgspec import Struct

from twin.errors import BadInput, SourceError

_TIMEOUT_S = 30.0


class Weights(Struct, frozen=True, kw_only=True):
    """A published model file.

    Attributes:
        sha256: of its content, in hex; it is not kept when this differs.
    """

    url: str
    sha256: str
    n_bytes: int
    licence: str


_ZOO = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2021.4/models_bin/3"
_ATTRIBUTES, _PLATES = "vehicle-attributes-recognition-barrier-0039", "vehicle-license-plate-detection-barrier-0106"

PUBLISHED: Mapping[str, tuple[Weights, ...]] = MappingProxyType(
    {
        "yolox_nano": (
            Weights(
                url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
                sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
                n_bytes=3_659_407,
                licence="Apache-2.0",
            ),
        ),
        "vehicle-attributes": (
            Weights(
                url=f"{_ZOO}/{_ATTRIBUTES}/FP16/{_ATTRIBUTES}.xml",
                sha256="5d830e98b0415f5c30fb922c0accb0b970408cc8dca35289353eca500aedba3a",
                n_bytes=39_727,
                licence="Apache-2.0",
            ),
            Weights(
                url=f"{_ZOO}/{_ATTRIBUTES}/FP16/{_ATTRIBUTES}.bin",
                sha256="251687d7a28abb7d7808e79bdaa675927616d24aec2eea88c50f923f3199f18f",
                n_bytes=1_252_026,
                licence="Apache-2.0",
            ),
        ),
        "vehicle-plates": (
            Weights(
                url=f"{_ZOO}/{_PLATES}/FP16/{_PLATES}.xml",
                sha256="8177274a661f4e4e250828e9adaf5b48d23c033afb792b9c3fc6e051b0dbeb6e",
                n_bytes=242_253,
                licence="Apache-2.0",
            ),
            Weights(
                url=f"{_ZOO}/{_PLATES}/FP16/{_PLATES}.bin",
                sha256="81ebfad23ceb6cb366a9b8bb44666c2ab2cb8366ca029c56f8c12b2fb5a2e14e",
                n_bytes=1_286_755,
                licence="Apache-2.0",
            ),
        ),
    }
)
"""Sizes and digests of the zoo's are those that its own manifests state (``models/intel/NAME/model.yml``).

By name: models that ``perceive run`` takes as they are, the file that it is given first, and what lies beside it."""


def weights_named(name: str) -> tuple[Weights, ...]:
    """A published model's files; raises BadInput."""
    if name not in PUBLISHED:
        raise BadInput(f"model '{name}' is not known; use one of {', '.join(sorted(PUBLISHED))}")
    return PUBLISHED[name]


def fetch_all(files: Sequence[Weights], out: Path | None) -> Iterator[tuple[Path, Weights, bool]]:
    """``fetch`` each file; gives its path, itself, and whether it had to be fetched, as each is there.

    Args:
        out: of the first file, and the others beside it with their own endings; None: by their own names, here.
    """
    for weights in files:
        name = Path(weights.url.rsplit("/", 1)[-1])
        path = name if out is None else out if weights is files[0] else out.with_suffix(name.suffix)
        yield path, weights, fetch(weights, path)


def fetch(weights: Weights, path: Path) -> bool:
    """Have the file at ``path``; returns whether it had to be fetched.

    Raises:
        BadInput: another file is there already.
        SourceError: it cannot be fetched, or what came is not it; nothing is left behind then.
    """
    if path.exists():
        if _digest(path) == weights.sha256:
            return False
        raise BadInput(f"'{path}' is there already and is not the published file; give another --out, or remove it")
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(weights, partial)
        if (found := _digest(partial)) != weights.sha256:
            raise SourceError(f"what '{weights.url}' sent has the SHA-256 {found}, not {weights.sha256}; it was not kept")
        os.replace(partial, path)
    except OSError as wrong:
        raise BadInput(f"'{path}' cannot be written: {wrong.strerror}; give another --out") from None
    finally:
        partial.unlink(missing_ok=True)
    return True


def _download(weights: Weights, partial: Path) -> None:
    n_bytes = 0
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client,
            client.stream("GET", weights.url) as response,
            partial.open("wb") as file,
        ):
            if response.status_code != 200:
                raise SourceError(f"'{weights.url}' answered {response.status_code}; try again later, or fetch it by hand")
            for part in response.iter_bytes():
                n_bytes += len(part)
                if n_bytes > weights.n_bytes:
                    raise SourceError(f"'{weights.url}' sent more than the {weights.n_bytes} bytes there should be; not kept")
                file.write(part)
    except httpx2.HTTPError as wrong:
        raise SourceError(f"'{weights.url}' cannot be reached: {wrong}; fetch it where there is a network") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
