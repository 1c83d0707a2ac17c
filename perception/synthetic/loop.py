"""Ground truth that repeats: the traffic of a clip that is played over and over.

A vehicle that leaves its stall comes back to it later in the same period, so the parked set at the end is that of the
start, and its stay crosses the seam: it enters in one round and leaves in the next. Others come and go within a round, or
drive through. No vehicle moves close to the seam. Rounds are drawn until one has everything that the demand asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from perception.synthetic.drive import TICK
from perception.synthetic.loop_demand import USUAL_S, LoopDemand, check_demand, usual_demand
from perception.synthetic.loop_round import STILL, Misfit, Part, Round, frame_of
from perception.synthetic.people import People
from perception.synthetic.seeds import generator
from perception.synthetic.trips import Trips
from perception.synthetic.truth import TruthFrame, VehicleState, Visit
from perception.synthetic.vehicles import TrueVehicleId
from perception.synthetic.views import Viewer, covered
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

_BEFORE_ALL: Micros = -(1 << 62)
_MOST_TRIES = 60  # of whole rounds
_LEAST_VISIBLE, _LEAST_HEIGHT_PX = 0.4, 16.0  # of a vehicle that counts as seen
_LOOKS_EVERY: Micros = 2 * SECOND
_ROUNDS_SEEN = 8  # that fit otherwise, until the best seen is taken


class LoopTraffic:
    """One round of traffic, for ever.

    The same site, seed, period and demand give the same round.

    Args:
        period_s: how long a round lasts, a multiple of half a second.
        demand: None: the usual one, with as much of it as a shorter round has time for.

    Raises:
        BadInput: the site has no way in and out, or the demand does not fit into the site or the period.
    """

    def __init__(self, site: Site, seed: int, period_s: float = USUAL_S, demand: LoopDemand | None = None) -> None:
        self.site, self.period = site, round(period_s * SECOND)
        if self.period % TICK or self.period <= 4 * STILL:
            raise BadInput(
                f"a round cannot last {period_s} s; give a multiple of {TICK / SECOND} s over {4 * STILL // SECOND} s"
            )
        self.demand = demand or usual_demand(period_s)
        trips = Trips(site, self.demand.speed_mps)
        check_demand(self.demand, site, len(trips.stalls))
        self._viewers = tuple(Viewer(site, camera) for camera in site.cameras) if self.demand.seen_share > 0 else ()
        self._parts = self._search(trips, seed)
        self._people = People(site, seed, self.demand.people_per_vehicle, _BEFORE_ALL)

    def at(self, at: Micros) -> TruthFrame:
        """The truth at any time from 0 on."""
        moment = at % self.period
        frame = frame_of(self._parts, at, moment)
        stays = [stay for part in self._parts if (stay := part.stay(moment, self.period)) is not None]
        return replace(frame, people=self._people.at(moment, stays, frame.vehicles))

    def visits(self, n_rounds: int) -> list[Visit]:
        """Every stay that begins or ends in so many rounds, vehicle by vehicle, in the order of time.

        None stands for an entry before them and for an exit after them; vehicles that never move have both.
        """
        return [visit for part in self._parts for visit in self._visits(part, n_rounds)]

    def _visits(self, part: Part, n_rounds: int) -> Iterable[Visit]:
        if part.entry_at is None or part.exit_at is None:
            yield Visit(vehicle=part.vehicle, entry_at=None, exit_at=None)
            return
        rounds_later = int(part.exit_at < part.entry_at)
        for number in range(-rounds_later, n_rounds):
            entry_at = part.entry_at + number * self.period if number >= 0 else None
            leaves_in = number + rounds_later
            exit_at = part.exit_at + leaves_in * self.period if leaves_in < n_rounds else None
            yield Visit(vehicle=part.vehicle, entry_at=entry_at, exit_at=exit_at)

    def _search(self, trips: Trips, seed: int) -> tuple[Part, ...]:
        misfits, fitting = Counter[str](), list[tuple[float, tuple[Part, ...]]]()
        for number in range(_MOST_TRIES):
            try:
                one = Round(self.site, trips, self.demand, self.period, generator(seed, "loop", number))
            except Misfit as misfit:
                misfits[str(misfit)] += 1
                continue
            fitting.append((self._least_seen(one.parts), one.parts))
            if fitting[-1][0] >= self.demand.seen_share or len(fitting) == _ROUNDS_SEEN:
                break
        if fitting:
            return max(fitting, key=lambda round_: round_[0])[1]
        reasons = "; ".join(f"{n} times {reason}" for reason, n in misfits.most_common())
        raise BadInput(
            f"{_MOST_TRIES} tries found no round of {self.period / SECOND} s on '{self.site.name}' with "
            f"{self.demand.n_returning} returning, {self.demand.n_visiting} visiting and {self.demand.n_passing} passing "
            f"vehicles: {reasons}; give it more time, or change the demand"
        )

    def _least_seen(self, parts: Sequence[Part]) -> float:
        """Share of its time in which the drive is in view that is seen least."""
        if not self._viewers:
            return 1.0
        is_seen = {at: self._seen(frame_of(parts, at, at).vehicles) for at in range(0, self.period, _LOOKS_EVERY)}
        seen_of = [
            [part.vehicle.id in is_seen[at] for at in is_seen if drive.start_at <= at < drive.end_at]
            for part in parts
            for drive in part.drives
        ]
        return min((sum(one) / len(one) for one in seen_of if one), default=1.0)

    def _seen(self, states: Sequence[VehicleState]) -> set[TrueVehicleId]:
        seen = set[TrueVehicleId]()
        for viewer in self._viewers:
            views = [view for view in viewer.views(states) if view is not None]
            for view, hidden in zip(views, covered(views), strict=True):
                visible = (1.0 - float(hidden)) * (1.0 - view.behind_walls)
                if visible >= _LEAST_VISIBLE and view.box_px[3] - view.box_px[1] >= _LEAST_HEIGHT_PX:
                    seen.add(view.state.vehicle.id)
        return seen
