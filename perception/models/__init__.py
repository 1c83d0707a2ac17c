"""Models of our own, trained on rendered pictures alone; see the card beside each file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from twin.errors import ModelError


def packaged_if_any(name: Literal["detector", "embedder"]) -> Path | None:
    """The file of our own detector or embedder, or None where it is not installed."""
    path = Path(__file__).parent / f"{name}.onnx"
    return path if path.is_file() else None


def packaged(name: Literal["detector", "embedder"]) -> Path:
    """The file of our own detector or embedder; raises ModelError where it is not installed."""
    path = packaged_if_any(name)
    if path is None:
        raise ModelError(f"this installation lacks the packaged {name} ('{name}.onnx'); give --{name} MODEL")
    return path
