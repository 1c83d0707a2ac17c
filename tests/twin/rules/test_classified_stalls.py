"""A classifier's scores of stalls, in the order of their own times, whenever they come."""

import pytest

from twin.api.outside import check_observation
from twin.errors import BadInput, CodecError
from twin.events.codec import from_json, to_json
from twin.events.envelope import DeviceKey, ObservationEvent, Recorded, RecordedFact
from twin.events.facts import ObservationLate, StallChanged
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved, StallClassified
from twin.projections.naive import net_of
from twin.rules.fold import Fold

START = 1_767_225_600 * SECOND


def event(device, sequence, at, payload):
    key = DeviceKey(device=device, boot_epoch=1, sequence=sequence)
    return ObservationEvent(site="lot", key=key, occurred_at=at, payload=payload)


def score(sequence, s, value, stall="s0", camera="left"):
    payload = StallClassified(camera=camera, stall=stall, score=value, classifier="bays@1")
    return event("classifier", sequence, START + s * SECOND, payload)


def watched(until_s):
    """Empty frames a second apart of a camera that does not see stall s0, and the clock."""
    frame = FrameObserved(camera="right", frame_px=(100, 100), detector="d", clock="ntp")
    events = []
    for s in range(until_s):
        events.append(event("right", s + 1, START + s * SECOND, frame))
        events.append(event("clock", s + 1, START + s * SECOND + 40_000, ClockTicked(worker="w")))
    return events


def run(lot, events, late_s=None):
    """The facts of events as they arrive: at their own times, or so many seconds later."""
    order = [(one.occurred_at + (late_s or {}).get(one.id, 0) * SECOND, n, one) for n, one in enumerate(events)]
    fold = Fold(lot)
    state, facts = fold.initial(), []
    for position, (_, _, one) in enumerate(sorted(order, key=lambda each: each[:2]), start=1):
        state, made = fold.step(state, Recorded(position=position, recorded_at=0, event=one), None)
        facts += made
    return facts


def told(facts):
    net = [one.event for one in net_of([RecordedFact(position=n, recorded_at=0, event=one) for n, one in enumerate(facts, 1)])]
    changes = [one for one in net if isinstance(one.payload, StallChanged) and one.payload.stall == "s0"]
    return [(one.payload.state, (one.occurred_at - START) // SECOND) for one in changes]


def test_two_sure_scores_take_a_stall_that_nobody_was_seen_to_park_in(lot):
    assert told(run(lot, [*watched(40), score(1, 2, 0.99), score(2, 14, 0.99)])) == [("occupied", 2)], "since the first"


def test_a_score_that_comes_late_is_put_into_its_place(lot):
    scores = [score(1, 1, 0.99), score(2, 12, 0.99)]
    events = [*watched(90), *scores]
    in_time, late = run(lot, events), run(lot, events, {scores[1].id: 9})
    assert told(late) == told(in_time) == [("occupied", 1)]
    (said,) = [one.payload for one in late if isinstance(one.payload, ObservationLate)]
    assert (said.camera, said.fate) == ("left", "fused_later")


def test_a_score_of_a_stall_that_the_site_does_not_have_is_refused_where_it_comes_in(lot, caplog):
    with pytest.raises(BadInput, match="Z9"):
        check_observation(score(1, 1, 0.5, stall="Z9").payload, lot)
    check_observation(score(1, 1, 0.5).payload, lot)
    assert not caplog.messages
    check_observation(score(1, 1, 0.5, camera="gaetway").payload, lot)
    assert "no camera 'gaetway'" in caplog.text


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_score_is_a_probability(value):
    line = to_json(score(1, 1, 0.5)).replace(b'"score":0.5', f'"score":{value}'.encode())
    with pytest.raises(CodecError):
        from_json(line)
