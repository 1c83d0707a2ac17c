"""Fetches detectors that were trained on real pictures, and checks that they are what they should be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
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


PUBLISHED: Mapping[str, Weights] = MappingProxyType(
    {
        "yolox_nano": Weights(
            url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
            sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
            n_bytes=3_659_407,
            licence="Apache-2.0",
        )
    }
)
"""By name: COCO detectors that ``perceive run`` takes as they are."""


def weights_named(name: str) -> Weights:
    """A published model; raises BadInput."""
    if name not in PUBLISHED:
        raise BadInput(f"model '{name}' is not known; use one of {', '.join(sorted(PUBLISHED))}")
    return PUBLISHED[name]


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
