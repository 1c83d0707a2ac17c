"""The past is fused again in slices, beside a present that goes on: what is told does not depend on how it is cut."""

import random

import msgspec
import pytest
from msgspec.structs import replace

from twin.evaluation.proofs import part
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent, Recorded
from twin.events.facts import GateDecided
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, LoopTripped
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.rules.fold import Fold
from twin.rules.refusion import Refusions
from twin.rules.sessions import Sessions

DAY, G9 = part("site_day"), part("g9")
SITE, START_AT = DAY.PROOF_SITE, DAY.START_AT
SECONDS = 40
END_AT = START_AT + (SECONDS + 90) * SECOND
GATE = next(one for one in SITE.portals if one.role == "boundary")


def observations(seed=3):
    """A site-day out of order inside the horizon, with a clock until all of it is final."""
    events = [event for event in DAY.site_day(seed, SECONDS) if not isinstance(event.payload, ClockTicked)]
    return list(G9.clocked(G9.permuted(events, random.Random(seed)), END_AT))


def steps(fold, events, kept=lambda state: state):
    """Each observation, and the states before and after it with the facts it triggered; it goes on from what is kept."""
    state, seen = fold.initial(), set()
    for event in events:
        if event.key in seen:
            continue
        seen.add(event.key)
        recorded = Recorded(position=len(seen), recorded_at=0, event=event)
        after, facts = fold.step(state, recorded, getattr(event.payload, "personal", None))
        yield event, state, after, facts
        state = kept(after)


def test_saved_and_loaded_between_any_two_slices_it_goes_on_the_same():
    fold, n_saved = Fold(SITE), 0

    def saved(state):
        nonlocal n_saved
        if state.window.refusion is None:
            return state
        n_saved += 1
        return fold.unpack(fold.pack(state))

    usual, again = (
        [fact for *_, facts in steps(fold, observations(), kept) for fact in facts] for kept in (lambda s: s, saved)
    )
    assert again == usual
    assert n_saved > 100


def test_slices_of_any_size_conclude_the_same_to_the_byte():
    fold, refusions = Fold(SITE), Refusions(SITE.name, Fold.version, Scene(SITE, DEFAULTS))
    begun = (
        after for _, before, after, _ in steps(fold, observations()) if after.window.refusion and not before.window.refusion
    )
    state, _ = next(begun), next(begun)
    late = state.order.closed_at + DEFAULTS.refuse_within_us
    told = set()
    for n_slices in (0, 1, 7, 1_000):
        window = state.window
        for _ in range(n_slices):
            window = refusions.sliced(window, late)
        sessions = Sessions(SITE, state.sessions)
        core, window, facts = refusions.ended(window, sessions, late, 9_999, 0)
        told.add((msgspec.msgpack.encode((core, window, sessions.state)), b"\n".join(map(to_json, facts))))
    ((_, facts),) = told
    assert facts, "what came late changed something"


@pytest.mark.parametrize(("every_s", "within_s"), [(1, 1), (5, 2), (20, 3), (3, 12)])
def test_how_soon_the_past_is_fused_again_does_not_change_what_is_known_in_the_end(every_s, within_s):
    parameters = replace(DEFAULTS, refuse_every_us=every_s * SECOND, refuse_within_us=within_s * SECOND)
    usual, other = (G9.net_view(G9.folded(observations(), one)) for one in (DEFAULTS, parameters))
    assert other == usual


def ticks_fused(before, after):
    """How many ticks a step fused, the present's and the past's."""
    since = 0 if before.order.closed_at is None else before.order.closed_at // DEFAULTS.tick_us
    closed = [number for number in after.window.ticks if number >= since]
    was, now = before.window.refusion, after.window.refusion
    if was is None:
        return len(closed)
    until = now.next_tick if now else after.order.closed_at // DEFAULTS.tick_us
    return len(closed) + sum(was.next_tick <= number < until for number in after.window.ticks)


def test_a_question_during_a_refusion_waits_for_no_more_than_a_slice_and_is_answered_from_the_last_closed_tick():
    def asked(number, at):
        key = DeviceKey(device="loops", boot_epoch=1, sequence=number)
        payload = LoopTripped(portal=GATE.id, direction="in" if GATE.direction == "both" else None)
        return ObservationEvent(site=SITE.name, key=key, occurred_at=at, payload=payload)

    events = [one for event in observations() for one in (event, asked(event.key.sequence, event.occurred_at))]
    n_during, n_sliced = 0, 0
    for event, before, after, facts in steps(Fold(SITE), events):
        is_under_way = before.window.refusion is not None
        if isinstance(event.payload, LoopTripped):
            (decided,) = (fact.payload for fact in facts if isinstance(fact.payload, GateDecided))
            assert decided.as_of_at == before.order.closed_at
            assert ticks_fused(before, after) == 0
            n_during += is_under_way
        elif is_under_way and after.order.closed_at == before.order.closed_at:
            assert ticks_fused(before, after) <= 1
            n_sliced += ticks_fused(before, after)
    assert n_during > 20
    assert n_sliced > 20
