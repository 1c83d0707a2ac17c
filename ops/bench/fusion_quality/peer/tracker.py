"""One level's tracks: Stone Soup's Kalman filter, gate and global nearest neighbour, put together as its guide does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from twin.errors import MissingExtra
from twin.events.ids import SECOND, Micros

SIGMA_M = 0.6  # of a measured place
ACCELERATION = 1.0  # spectral density of the noise
SPEED_SIGMA_MPS = 5.0
GATE = 3.0  # standard deviations
NEAR_M = 6.0  # farther off is not even asked
CONFIRMED_AFTER = 3
LOST_AFTER_S = 3.0

_SOUP = {
    "dataassociator.tree": ("DetectionKDTreeGNN2D",),
    "deleter.time": ("UpdateTimeDeleter",),
    "hypothesiser.distance": ("DistanceHypothesiser",),
    "initiator.simple": ("MultiMeasurementInitiator",),
    "measures": ("Mahalanobis",),
    "models.measurement.linear": ("LinearGaussian",),
    "models.transition.linear": ("CombinedLinearGaussianTransitionModel", "ConstantVelocity"),
    "predictor.kalman": ("KalmanPredictor",),
    "types.detection": ("Detection",),
    "types.state": ("GaussianState",),
    "types.update": ("Update",),
    "updater.kalman": ("KalmanUpdater",),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A track at a time.

    Attributes:
        key: of the track, for as long as it lives.
        covariance_m2: xx, xy, yy.
    """

    key: str
    x: float
    y: float
    speed_mps: float
    covariance_m2: tuple[float, float, float]
    was_updated: bool


class GroundTracker:
    """Tracks on one plane.

    Raises:
        MissingExtra: Stone Soup is not installed.
    """

    def __init__(self) -> None:
        self._soup = _soup()
        self._tracks: set[Any] = set()
        soup = self._soup
        axis = soup.ConstantVelocity(ACCELERATION)
        self._measured_by = soup.LinearGaussian(ndim_state=4, mapping=(0, 2), noise_covar=np.diag([SIGMA_M**2, SIGMA_M**2]))
        predictor = soup.KalmanPredictor(soup.CombinedLinearGaussianTransitionModel([axis, axis]))
        self._updater = soup.KalmanUpdater(self._measured_by)
        hypothesiser = soup.DistanceHypothesiser(predictor, self._updater, soup.Mahalanobis(), missed_distance=GATE)
        self._associator = soup.DetectionKDTreeGNN2D(
            hypothesiser, predictor, self._updater, number_of_neighbours=4, max_distance=NEAR_M
        )
        self._deleter = soup.UpdateTimeDeleter(timedelta(seconds=LOST_AFTER_S))
        spread = np.diag([0.0, SPEED_SIGMA_MPS**2, 0.0, SPEED_SIGMA_MPS**2])
        self._initiator = soup.MultiMeasurementInitiator(
            prior_state=soup.GaussianState(np.zeros((4, 1)), spread),
            deleter=soup.UpdateTimeDeleter(timedelta(seconds=1)),
            data_associator=self._associator,
            updater=self._updater,
            measurement_model=self._measured_by,
            min_points=CONFIRMED_AFTER,
        )

    def step(self, at: Micros, points: Sequence[tuple[float, float]]) -> list[Shown]:
        """Take what was seen; returns every track that lives, sorted by place."""
        soup, when = self._soup, datetime.fromtimestamp(at / SECOND, tz=UTC)
        seen = {soup.Detection(np.array([[x], [y]]), timestamp=when, measurement_model=self._measured_by) for x, y in points}
        taken = set[Any]()
        for track, hypothesis in self._associator.associate(self._tracks, seen, when).items():
            if hypothesis:
                track.append(self._updater.update(hypothesis))
                taken.add(hypothesis.measurement)
            else:
                track.append(hypothesis.prediction)
        self._tracks -= self._deleter.delete_tracks(self._tracks, timestamp=when)
        self._tracks |= self._initiator.initiate(seen - taken, when)
        return sorted((self._shown(track) for track in self._tracks), key=lambda one: (one.x, one.y))

    def _shown(self, track: Any) -> Shown:
        x, vx, y, vy = (float(value) for value in track.state_vector[:, 0])
        covariance = np.asarray(track.covar)
        return Shown(
            key=track.id,
            x=x,
            y=y,
            speed_mps=float(np.hypot(vx, vy)),
            covariance_m2=(float(covariance[0, 0]), float(covariance[0, 2]), float(covariance[2, 2])),
            was_updated=isinstance(track.state, self._soup.Update),
        )


def _soup() -> Any:
    """The names of Stone Soup that are used; it is loaded when a peer is asked for."""
    try:
        found = {name: getattr(import_module(f"stonesoup.{part}"), name) for part, names in _SOUP.items() for name in names}
    except ImportError as wrong:
        raise MissingExtra(f"the peer tracker needs Stone Soup ({wrong}); pip install 'spatial-twin[bench]'") from None
    return SimpleNamespace(**found)
