"""A whole simulated run: every camera's reports in the order they reach the log, with clock ticks between them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.profiles import DEFAULT, FIXED_DELAY_S, NoiseProfile
from perception.synthetic.sensors import CameraSensor, Delivery
from perception.synthetic.traffic import Traffic
from perception.synthetic.traffic_source import TrafficSource
from perception.synthetic.truth import FRAME, TruthFrame, Visit
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import ClockTicked

TICK_DEVICE, TICK_WORKER = DeviceId("twin-worker"), "simulated"

_TICK: Micros = 100_000
_STEP: Micros = SECOND  # how far truth and sensors advance at once
_FIXED: Micros = round(FIXED_DELAY_S * SECOND)


class Step(NamedTuple):
    """A stretch of a simulation.

    Attributes:
        arrivals: what reaches the log, in order.
        truth: a frame every 100 ms.
        visits: those that ended.
    """

    arrivals: tuple[Delivery, ...]
    truth: tuple[TruthFrame, ...]
    visits: tuple[Visit, ...]


def demand_of(profile: NoiseProfile, demand: Demand | None) -> Demand:
    """The demand, with the profile's share of look-alikes."""
    return replace(demand or Demand(), lookalike_share=profile.lookalikes)


class Simulation:
    """Traffic and sensors of a site, generated for ever in bounded memory.

    The same site, seed, profile, start and demand give the same events. ``events`` may be called once.

    Args:
        ticks: insert ``clock.ticked.v1`` every 100 ms of arrival time; false where a live worker appends its own.
        traffic: the ground truth; None: our own, of the seed and the demand.
        boot_epoch: of the cameras; a restart that appends to the same log needs a larger one.

    Raises:
        BadInput: no camera, or no way in and out.
    """

    def __init__(
        self,
        site: Site,
        seed: int,
        profile: NoiseProfile = DEFAULT,
        start_at: Micros = 0,
        *,
        demand: Demand | None = None,
        traffic: TrafficSource | None = None,
        ticks: bool = True,
        boot_epoch: int = 1,
    ) -> None:
        if not site.cameras:
            raise BadInput(f"site '{site.name}' has no cameras, so nothing would be observed; add one to cameras.toml")
        self.site, self.start_at, self.seed, self.profile = site, start_at, seed, profile
        self.traffic = traffic or Traffic(site, seed, start_at, demand_of(profile, demand))
        self.sensors = tuple(
            CameraSensor(site, camera, profile, seed, start_at, boot_epoch=boot_epoch) for camera in site.cameras
        )
        self._ticks, self._n_ticks, self._boot_epoch = ticks, 0, boot_epoch

    def events(self, until_at: Micros | None = None) -> Iterator[tuple[Micros, ObservationEvent]]:
        """(arrival, event) in order of arrival; with ``until_at``, everything captured before it."""
        for step in self.steps(until_at):
            yield from step.arrivals

    def steps(self, until_at: Micros | None = None) -> Iterator[Step]:
        """A second at a time."""
        pending: list[tuple[Micros, DeviceId, int, Delivery]] = []
        now = self.start_at
        while until_at is None or now < until_at:
            before, now = now, now + _STEP if until_at is None else min(now + _STEP, until_at)
            self.traffic.advance(now)
            frames: dict[Micros, TruthFrame] = {}
            for sensor in self.sensors:
                moments = [self._truth(frames, at) for at in sensor.capture_times(now)]
                for one in sensor.observe(moments):
                    heapq.heappush(pending, (one.arrival_at, one.event.key.device, one.event.key.sequence, one))
            truth = tuple(self._truth(frames, at) for at in range(-(-before // FRAME) * FRAME, now, FRAME))
            yield Step(self._arrived(pending, now + _FIXED), truth, tuple(self.traffic.take_visits()))
        if pending:
            last_at = max(arrival_at for arrival_at, _, _, _ in pending)
            yield Step(self._arrived(pending, last_at + 1), (), ())

    def _truth(self, frames: dict[Micros, TruthFrame], at: Micros) -> TruthFrame:
        if at not in frames:
            frames[at] = self.traffic.at(at)
        return frames[at]

    def _arrived(self, pending: list[tuple[Micros, DeviceId, int, Delivery]], before_at: Micros) -> tuple[Delivery, ...]:
        """What arrives before a time; nothing captured later can."""
        arrived = list[Delivery]()
        while pending and pending[0][0] < before_at:
            delivery = heapq.heappop(pending)[3]
            arrived += self._ticks_until(delivery.arrival_at)
            arrived.append(delivery)
        return (*arrived, *self._ticks_until(before_at - 1))

    def _ticks_until(self, at: Micros) -> Iterator[Delivery]:
        """Ticks that have not been given yet, up to and with a time."""
        while self._ticks and (tick_at := self.start_at + (self._n_ticks + 1) * _TICK) <= at:
            self._n_ticks += 1
            key = DeviceKey(device=TICK_DEVICE, boot_epoch=self._boot_epoch, sequence=self._n_ticks)
            tick = ClockTicked(worker=TICK_WORKER)
            yield Delivery(tick_at, ObservationEvent(site=self.site.name, key=key, occurred_at=tick_at, payload=tick))
