"""G14: ±30 s clock skew, 200 ppm drift and clock steps give no negative stay; silence gives no exit.

A run is a site-day whose cameras' clocks are off by up to 30 s either way, drift by up to 200 ppm, and are set up to twice to
another error within the bound; both cameras fall silent together for a while, one alone for another, and both at the end for a
minute, while the logged clock goes on. Arrivals are true. Refuted by a stay that ends before it begins; by an exit that nobody
saw: what it rests on was captured before it, and its camera delivered nothing since that could have shown the vehicle gone; by
a vehicle that leaves while every camera is silent; or if of the errors of the estimated offsets, frame by frame over all runs,
more than 1 in 20 are over 250 ms. Control: the cameras' clocks are believed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from perception.synthetic.profiles import HARSH
from perception.synthetic.simulate import Simulation
from site_models.schema import ClockSource
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded, RecordedFact
from twin.events.facts import PortalCrossed, SessionAmended, SessionClosed
from twin.events.ids import SECOND, CameraId, DeviceId, EventId, Micros
from twin.events.observations import ClockTicked, FrameObserved, TrackletEmbedded
from twin.fusion.parameters import DEFAULTS
from twin.projections.naive import net_of
from twin.rules.fold import Fold, FoldState
from twin.rules.invariants import Billing, Violation

from .outcome import Failure, Outcome, tried
from .site_day import BUSY, PROOF_SITE, START_AT

RUNS, FULL_RUNS = 2, 2_000
MOST_SKEW: Micros = 30 * SECOND
MOST_DRIFT = 200e-6
MOST_ERROR: Micros = 250_000
_SECONDS = 90
_AFTERWARDS_S = 60
_TICK: Micros = 100_000
_PROFILE = replace(HARSH, clock_offset_s=0.0, clock_drift_ppm=0.0, outages_a_day=0)
_CAMERAS = tuple(camera.id for camera in PROOF_SITE.cameras)


class Silence(NamedTuple):
    """Cameras that capture nothing from a true time to another."""

    cameras: tuple[CameraId, ...]
    from_at: Micros
    until_at: Micros


class SteppedClock(NamedTuple):
    """A camera's clock: (true time from which on, error then), in order, and its drift, microseconds a microsecond."""

    steps: tuple[tuple[Micros, Micros], ...]
    drift: float

    def reads(self, at: Micros) -> Micros:
        """What it shows at a true time."""
        since, error = next(step for step in reversed(self.steps) if step[0] <= at)
        return at + error + round(self.drift * (at - since))


@dataclass
class Run:
    """What was seen of one run.

    Attributes:
        errors: of each frame's estimated offset.
        frames: of each camera, the corrected times.
        at_by_id: the corrected time of each frame, and its camera.
    """

    errors: list[Micros] = field(default_factory=list[Micros])
    frames: dict[CameraId, list[Micros]] = field(default_factory=dict[CameraId, list[Micros]])
    at_by_id: dict[EventId, tuple[CameraId, Micros]] = field(default_factory=dict[EventId, tuple[CameraId, Micros]])
    facts: list[FactEvent] = field(default_factory=list[FactEvent])


def prove(runs: int, seed: int) -> Outcome:
    """A run is a site-day under clocks of its own."""
    failures = _failures(range(seed, seed + runs), "unsynced")
    control = _failures(range(seed, seed + 1), "ntp")
    return Outcome(runs, failures, "the cameras' clocks are believed", len(control))


def _failures(seeds: range, source: ClockSource) -> list[Failure]:
    """Runs that refute it; and, where the errors of all runs together do, the one whose are largest."""
    errors: dict[int, list[Micros]] = {}
    failures = tried(seeds, lambda seed: _refuted(seed, source, errors))
    p95 = _p95(error for of_run in errors.values() for error in of_run)
    if p95 > MOST_ERROR:
        worst = max(errors, key=lambda seed: (_p95(errors[seed]), -seed))
        failures.append(Failure(worst, f"p95 of all offset errors is {p95 / 1000:.0f} ms"))
    return failures


def _p95(errors: Iterable[Micros]) -> float:
    return float(np.quantile(np.fromiter(errors, dtype=np.int64), 0.95))


def _refuted(seed: int, source: ClockSource, errors: dict[int, list[Micros]]) -> str | None:
    draw = random.Random(f"clocks {seed}")
    clocks = {name: _clock(draw) for name in _CAMERAS}
    silences = _silences(draw)
    found = Run()
    errors[seed] = found.errors
    try:
        watch(found, seed, clocks, silences, source)
    except Violation as wrong:
        return str(wrong)
    return _negative(found) or _silent(found) or _left_unseen(found, silences)


def _clock(draw: random.Random) -> SteppedClock:
    set_at = sorted(START_AT + draw.randrange(10, _SECONDS - 10) * SECOND for _ in range(draw.randrange(3)))
    steps = tuple((at, draw.randint(-MOST_SKEW, MOST_SKEW)) for at in (0, *set_at))
    return SteppedClock(tuple((at or START_AT, error) for at, error in steps), draw.uniform(-MOST_DRIFT, MOST_DRIFT))


def _silences(draw: random.Random) -> tuple[Silence, ...]:
    both_at, one_at = (START_AT + draw.randrange(20, _SECONDS - 25) * SECOND for _ in range(2))
    return (
        Silence(_CAMERAS, both_at, both_at + draw.randrange(4, 20) * SECOND),
        Silence((draw.choice(_CAMERAS),), one_at, one_at + draw.randrange(4, 20) * SECOND),
        Silence(_CAMERAS, START_AT + _SECONDS * SECOND, START_AT + (_SECONDS + _AFTERWARDS_S) * SECOND),
    )


def watch(
    found: Run, seed: int, clocks: dict[CameraId, SteppedClock], silences: tuple[Silence, ...], source: ClockSource
) -> None:
    """Fold a site-day as these clocks tell it; raises Violation where stays break what billing promises."""
    fold = Fold(PROOF_SITE)
    billing = Billing(frozenset(portal.id for portal in PROOF_SITE.portals if portal.role == "boundary"))
    state = fold.initial()
    for position, (true_at, event) in enumerate(_told(seed, clocks, silences, source), 1):
        personal = event.payload.personal if isinstance(event.payload, TrackletEmbedded) else None
        state, facts = fold.step(state, Recorded(position=position, recorded_at=position, event=event), personal)
        _note(found, state, true_at, event)
        for fact in facts:
            billing.check(fact, f"fact {len(found.facts) + 1}")
            found.facts.append(fact)
        billing.end_of_cause()


def _told(
    seed: int, clocks: dict[CameraId, SteppedClock], silences: tuple[Silence, ...], source: ClockSource
) -> Iterator[tuple[Micros, ObservationEvent]]:
    """(true time, event by the camera's clock) in order of arrival, then a clock that goes on alone."""
    end_at = START_AT + _SECONDS * SECOND
    last_tick = 0
    for _, event in Simulation(PROOF_SITE, seed, _PROFILE, START_AT, demand=BUSY).events(end_at):
        true_at, payload = event.occurred_at, event.payload
        if isinstance(payload, ClockTicked):
            last_tick = event.key.sequence
            yield true_at, event
            continue
        assert isinstance(payload, FrameObserved | TrackletEmbedded)
        if any(payload.camera in one.cameras and one.from_at <= true_at < one.until_at for one in silences):
            continue
        if isinstance(payload, FrameObserved):
            payload = replace(payload, clock=source)
        yield true_at, replace(event, occurred_at=clocks[payload.camera].reads(true_at), payload=payload)
    for n in range(1, _AFTERWARDS_S * SECOND // _TICK):
        key = DeviceKey(device=DeviceId("twin-worker"), boot_epoch=1, sequence=last_tick + n)
        tick = ClockTicked(worker="simulated")
        yield end_at + n * _TICK, ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=end_at + n * _TICK, payload=tick)


def _note(found: Run, state: FoldState, true_at: Micros, event: ObservationEvent) -> None:
    payload = event.payload
    if not isinstance(payload, FrameObserved) or payload.camera not in state.order.cameras:
        return
    corrected_at = event.occurred_at + state.order.cameras[payload.camera].offset_us
    found.errors.append(abs(corrected_at - true_at))
    found.frames.setdefault(payload.camera, []).append(corrected_at)
    found.at_by_id[event.id] = (payload.camera, corrected_at)


def _negative(found: Run) -> str | None:
    for fact in found.facts:
        told = fact.payload
        if not isinstance(told, SessionClosed | SessionAmended) or told.exit_at is None or told.entry_at is None:
            continue
        if told.exit_at < told.entry_at:
            return f"session {told.session} ends {told.entry_at - told.exit_at} us before it begins"
    return None


def _exits(found: Run) -> Iterator[tuple[Micros, PortalCrossed]]:
    """Exits that stand in the end."""
    recorded = [RecordedFact(position=n, recorded_at=n, event=fact) for n, fact in enumerate(found.facts, 1)]
    boundaries = {portal.id for portal in PROOF_SITE.portals if portal.role == "boundary"}
    for fact in net_of(recorded):
        crossed = fact.event.payload
        if isinstance(crossed, PortalCrossed) and crossed.direction == "out" and crossed.portal in boundaries:
            yield fact.event.occurred_at, crossed


def _silent(found: Run) -> str | None:
    """An exit after the last look at the vehicle, and no look since in which it would have been missed."""
    for at, crossed in _exits(found):
        seen = [found.at_by_id[one] for one in crossed.evidence if one in found.at_by_id]
        if not seen:
            return f"the exit of {crossed.vehicle} rests on no frame"
        camera, newest_at = max(seen, key=lambda one: one[1])
        looks = [one for one in found.frames[camera] if at <= one <= at + DEFAULTS.hidden_us]
        if newest_at < at and not looks:
            return f"{crossed.vehicle} left {at - newest_at} us after it was last seen, and camera {camera} was silent"
    return None


def _left_unseen(found: Run, silences: tuple[Silence, ...]) -> str | None:
    """An exit in a time when no camera delivered, of a vehicle that is not seen outside afterwards."""
    for at, crossed in _exits(found):
        newest_at = max(found.at_by_id[one][1] for one in crossed.evidence if one in found.at_by_id)
        for one in silences:
            is_within = one.from_at + 2 * SECOND < at < one.until_at - 2 * SECOND
            if one.cameras == _CAMERAS and is_within and newest_at < at:
                return f"{crossed.vehicle} left at {at}, when every camera was silent"
    return None
