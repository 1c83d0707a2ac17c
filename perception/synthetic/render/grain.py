"""The fine pattern of asphalt, concrete and paint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.seeds import generator

_SIDE_PX = 512
_POWERS = (0.75, 1.1, 0.35)  # of the three channels' spectra: medium, broad and fine grain


def grain(seed: int) -> NDArray[np.uint8]:
    """(512, 512, 3) of tileable noise with power-law spectra, as BGR."""
    rng, n = generator(seed, "surface noise"), _SIDE_PX
    frequency = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.fftfreq(n)[None] ** 2
    frequency[0, 0] = 1.0
    channels = list[NDArray[np.uint8]]()
    for power in _POWERS:
        noise = np.real(np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n))) * frequency**-power))
        noise = np.clip((noise - noise.mean()) / noise.std() * 0.2 + 0.5, 0, 1)
        channels.append((noise * 255).astype(np.uint8))
    return np.stack(channels[::-1], axis=-1)
