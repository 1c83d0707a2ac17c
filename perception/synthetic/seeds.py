"""Independent random streams by name, so that one part's draws never move another's."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The stream of this seed and these names; the same arguments give the same draws."""
    framed = "".join(f"{len(str(part))}:{part}" for part in (seed, *names))
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.blake2b(framed.encode(), digest_size=16).digest(), "big"))
    )
