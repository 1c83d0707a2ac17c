"""Weights of search on a disk: those that came with this release, and those that a site learned."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from retrieval.weights import Weights, read_weights
from twin.errors import BadInput
from twin.events.ids import SiteId

PACKAGED = read_weights(Path(__file__).with_name("weights.json").read_bytes(), "weights.json")
"""Learned from simulated sites, and from rendered vehicles."""


def weights_path(data_dir: Path, site: SiteId) -> Path:
    """Where a site's own are."""
    return data_dir / "search-weights" / f"{site}.json"


def site_weights(data_dir: Path, site: SiteId) -> Weights:
    """A site's own weights, else those of this release; raises BadInput if they cannot be read."""
    path = weights_path(data_dir, site)
    return load_weights(path) if path.exists() else PACKAGED


def load_weights(path: Path) -> Weights:
    """Raises BadInput if there are none."""
    try:
        return read_weights(path.read_bytes(), str(path))
    except OSError as wrong:
        raise BadInput(f"weights '{path}' cannot be read: {wrong.strerror}") from None


def save_weights(weights: Weights, path: Path) -> None:
    """Replace the file so that a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(weights, order="sorted"), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
