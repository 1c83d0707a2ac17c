"""How a tracked box moves: the tracker library's constant-velocity Kalman filter, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from trackers.utils.state_representations import XYXYStateEstimator

_NOMINAL_WITHIN_S = 0.004
_NOMINAL_WITHIN_FRAMES = 0.1  # where nobody says how many frames a second there are


class BoxMotion(XYXYStateEstimator):
    """Each edge of a box with its velocity, filtered as ``XYXYStateEstimator`` does.

    The library multiplies 8×8 matrices. All four edges have the same noise and none depends on another, so that one 2×2
    covariance serves them all, and a few numbers do; the processor's linear algebra has no part in it.
    """

    def __init__(self, bbox: NDArray[Any]) -> None:
        super().__init__(bbox)
        self._edges_px: list[float] = [float(edge) for edge in bbox]
        self._velocities: list[float] = [0.0] * 4  # px a nominal frame
        self._covariance = (1.0, 0.0, 1.0)  # edge, both, velocity

    def predict(self, frame_step: float = 1.0, frame_rate: float | None = None) -> None:
        """Move on by ``frame_step`` nominal frames, of which there are ``frame_rate`` a second."""
        edge, both, velocity = self._covariance
        noise = self._process_noise(frame_step, frame_rate)
        self._edges_px = [at + frame_step * by for at, by in zip(self._edges_px, self._velocities, strict=True)]
        self._covariance = (
            edge + frame_step * (2.0 * both + frame_step * velocity) + noise[0],
            both + frame_step * velocity + noise[1],
            velocity + noise[2],
        )

    def update(self, bbox: NDArray[Any] | None) -> None:
        """Take a detected box into account; None changes nothing."""
        if bbox is None:
            return
        edge, both, velocity = self._covariance
        noise = float(self.kf.measurement_noise[0, 0])
        gain, velocity_gain = edge / (edge + noise), both / (edge + noise)
        innovations_px = [float(seen) - at for seen, at in zip(bbox, self._edges_px, strict=True)]
        self._edges_px = [at + gain * by for at, by in zip(self._edges_px, innovations_px, strict=True)]
        self._velocities = [at + velocity_gain * by for at, by in zip(self._velocities, innovations_px, strict=True)]
        self._covariance = (gain * noise, velocity_gain * noise, velocity - velocity_gain * both)

    def state_to_bbox(self) -> NDArray[np.float64]:
        """(4,) x1, y1, x2, y2, pixels."""
        return np.array(self._edges_px)

    def _process_noise(self, frame_step: float, frame_rate: float | None) -> tuple[float, float, float]:
        """Of edge, both and velocity: as configured for a nominal frame, else discrete white noise acceleration."""
        configured = self.motion.process_noise.baseline_Q
        acceleration = float(configured[4, 4])
        within = _NOMINAL_WITHIN_S * frame_rate if frame_rate else _NOMINAL_WITHIN_FRAMES
        if abs(frame_step - 1.0) <= within:
            return float(configured[0, 0]), 0.0, acceleration
        step2 = frame_step * frame_step
        return acceleration * step2 * step2 / 4.0, acceleration * step2 * frame_step / 2.0, acceleration * step2
