"""One vehicle's true poses, from where SUMO has its front and from its way into its stall.

On the road the guide point is dragged behind the front, as a car's rear is, so it cuts corners as real ones do; SUMO's
own angle is the chord of a vehicle that here is longer than the body. Close to its stall the vehicle leaves SUMO's lane
for its way; one that has backed out lags behind SUMO's front and makes that good over the next metres.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from perception.synthetic.footprints import Floats
from perception.synthetic.lines import Line
from perception.synthetic.sumo.floating_cars import STEP_S, Floating
from perception.synthetic.sumo.manoeuvres import Way
from perception.synthetic.sumo.plans import Plan
from perception.synthetic.sumo.scenario import ENTERING_S, LEAVING_S

_SEAM_M = 3.0  # of a way, over which the pose that the road left is blended into it
_NEAR_STOP_M, _STANDS_M = 0.15, 0.005  # SUMO has stopped: as near to its stop, and moved less in a step
_RESERVE_S = 0.5  # a manoeuvre is over before SUMO lets others pass
_CATCH_UP = 4.0  # a lag is made good over so many times its length
_IN_LOT_M = 0.1

Stage = Literal["road", "entering", "parked", "leaving"]


class Pose(NamedTuple):
    """The footprint's middle, metres, and heading, radians."""

    x_m: float
    y_m: float
    heading: float


class Presence:
    """A vehicle that SUMO has on the road or in a lot, or that stands in its stall until SUMO puts it on the road.

    Args:
        way: into its stall; None for one that drives through.
        lot_m: where SUMO shows it when it is parked.
        before_m: (2,) where its front is on the lane when its way begins.

    Attributes:
        stage: what it does now.
        n_stood: steps of 100 ms that it has stood on the road.
    """

    def __init__(self, plan: Plan, way: Way | None, lot_m: tuple[float, float], before_m: Floats | None) -> None:
        self.plan = plan
        self.stage: Stage = "road" if plan.entry is not None else "parked"
        self.n_stood = 0
        self._way, self._lot_m, self._before_m = way, lot_m, before_m
        self._offset_m = plan.vehicle.shape.guide_to_centre_m
        self._drag_m = self._offset_m + plan.vehicle.shape.length_m / 2
        self._seen: Floating | None = None
        self._guide, self._heading = np.zeros(2), math.nan
        self._along_m, self._progress_m = math.nan, 0.0
        self._n_steps, self._from_m = 0, 0.0  # of the part of a manoeuvre that SUMO stands still for
        self._seam = (np.zeros(2), 0.0)
        self._trail: list[Floats] = []
        self._is_lot_seen = plan.entry is None
        if way is not None and plan.entry is None:
            self._follow(way, way.guide.length_m)

    @property
    def pose(self) -> Pose:
        """Where it is."""
        x, y = self._guide + self._offset_m * np.array([math.cos(self._heading), math.sin(self._heading)])
        return Pose(float(x), float(y), self._heading)

    def step(self, seen: Floating) -> None:
        """Go on by 100 ms, to where SUMO has it now."""
        if seen is self._seen and self.stage == "parked":
            return
        self._seen = seen
        stands = abs(seen.along_m - self._along_m) < _STANDS_M
        self._along_m = seen.along_m
        is_in_lot = math.dist(seen.front_m, self._lot_m) < _IN_LOT_M
        self._is_lot_seen |= is_in_lot
        if self.stage == "parked" and self._is_lot_seen and not is_in_lot:
            self.stage, self._n_steps = "leaving", 0
        elif self.stage == "road" and not self._is_lot_seen and self._has_come(seen, stands=stands):
            self._begin_to_enter(seen)
        self.n_stood = self.n_stood + 1 if stands and self.stage == "road" else 0
        if self.stage == "road":
            self._drive(seen)
        elif self.stage == "entering":
            self._enter(stands=stands)
        elif self.stage == "leaving":
            self._leave(seen)

    def _has_come(self, seen: Floating, *, stands: bool) -> bool:
        stop, way = self.plan.stop, self._way
        if stop is None or way is None or seen.edge != stop.edge or math.isnan(self._heading):
            return False
        if way.lead_m > 0:
            return seen.along_m >= stop.stop_m - way.lead_m
        return stands and seen.along_m >= stop.stop_m - _NEAR_STOP_M

    def _begin_to_enter(self, seen: Floating) -> None:
        """Go on along the way from where the road has led, and blend what they differ by into it."""
        assert self._way is not None
        assert self.plan.stop is not None
        self._drive(seen)
        self.stage, self._n_steps = "entering", 0
        self._progress_m = max(0.0, self._way.lead_m - max(self.plan.stop.stop_m - seen.along_m, 0.0))
        guide, heading = self._way.pose(self._progress_m)
        share = _blended(self._progress_m)
        self._seam = (self._guide - guide) / share, math.remainder(self._heading - heading, math.tau) / share

    def _enter(self, *, stands: bool) -> None:
        assert self._way is not None
        assert self.plan.stop is not None
        remaining_m = self.plan.stop.stop_m - self._along_m
        if self._n_steps == 0 and not (stands and remaining_m <= _NEAR_STOP_M):
            self._from_m = max(self._progress_m, self._way.lead_m - max(remaining_m, 0.0))
            self._follow(self._way, self._from_m)
            return
        self._n_steps += 1
        share = self._n_steps * STEP_S / (ENTERING_S[self.plan.stop.style] - _RESERVE_S)
        self._follow(self._way, self._from_m + (self._way.guide.length_m - self._from_m) * _eased(share))
        if share >= 1.0:
            self.stage = "parked"

    def _leave(self, seen: Floating) -> None:
        assert self._way is not None
        assert self._before_m is not None
        assert self.plan.stop is not None
        self._n_steps += 1
        share = self._n_steps * STEP_S / (LEAVING_S[self.plan.stop.style] - _RESERVE_S)
        self._seam = (np.zeros(2), 0.0)
        self._follow(self._way, self._way.guide.length_m * (1.0 - _eased(share)))
        if share >= 1.0:
            self.stage = "road"
            self._trail = [self._before_m, np.array(seen.front_m)] if self._way.lead_m > 0 else []

    def _follow(self, way: Way, progress_m: float) -> None:
        self._progress_m = progress_m
        guide, heading = way.pose(progress_m)
        share = _blended(progress_m)
        self._guide, self._heading = guide + share * self._seam[0], heading + share * self._seam[1]

    def _drive(self, seen: Floating) -> None:
        front = np.array(seen.front_m)
        if self._trail:
            front = self._lagging(front)
        if math.isnan(self._heading):
            self._heading = math.radians(90.0 - seen.angle_deg)
            self._guide = front - self._drag_m * np.array([math.cos(self._heading), math.sin(self._heading)])
        ahead = front - self._guide
        self._heading = math.atan2(ahead[1], ahead[0])
        self._guide = front - self._drag_m * ahead / np.hypot(*ahead)

    def _lagging(self, front: Floats) -> Floats:
        """(2,) where on SUMO's trail the front truly is."""
        if np.hypot(*(front - self._trail[-1])) > _STANDS_M:
            self._trail.append(front)
        trail = Line(np.array(self._trail))
        lead_m = float(np.hypot(*(self._trail[1] - self._trail[0])))
        moved_m = trail.length_m - lead_m
        share = moved_m / (_CATCH_UP * lead_m)
        if share >= 1.0:
            self._trail = []
            return front
        return trail.at(trail.length_m - lead_m * (1.0 - share) ** 2)


def _blended(progress_m: float) -> float:
    """How much of the difference between the road and the way is left."""
    return max(0.0, 1.0 - progress_m / _SEAM_M) ** 2


def _eased(share: float) -> float:
    """From standing to standing."""
    share = min(share, 1.0)
    return share * share * (3.0 - 2.0 * share)
