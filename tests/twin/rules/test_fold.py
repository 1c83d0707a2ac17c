"""The whole fold on a small site: one camera over a gate, a lane and two stalls. Boxes are projected cuboids."""

import math
import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from site_models.camera_entries import look_at
from site_models.schema import Camera, Datum, Lane, Level, Pinhole, Portal, Site, Stall, Zone
from twin.errors import CodecError
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded, RecordedFact
from twin.events.facts import (
    CameraStateChanged,
    ClockEstimated,
    FactRetracted,
    ObservationLate,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    StallChanged,
    TrackletAssigned,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleParked,
)
from twin.events.ids import SECOND
from twin.events.observations import (
    CameraCalibrated,
    ClockTicked,
    DetectedBox,
    FrameObserved,
    Personal,
    SiteEdited,
    TrackletEmbedded,
)
from twin.fusion.parameters import DEFAULTS
from twin.projections.naive import net_of, stays_of
from twin.rules.fold import Fold
from twin.rules.passages import right_share
from twin.rules.sessions import Sessions, SessionsState
from twin.spatial.camera import GroundCamera

START = 1_767_225_600 * SECOND


def box(x1, y1, x2, y2):
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


EYE, TARGET = (0.0, -14.0, 9.0), (0.0, 6.0, 0.0)
CAMERA = Camera(
    id="mast",
    level="0",
    frame_px=(1280, 720),
    geometry=Pinhole(k=(640.0, 640.0, 640.0, 360.0), position_m=EYE, rotation=look_at(EYE, TARGET)),
    range_m=60.0,
    clock="ntp",
)
SITE = Site(
    name="corner",
    datum=Datum(latitude=0.0, longitude=0.0),
    levels=(Level(id="0"),),
    zones=(
        Zone(id="lane", level="0", kind="lane", ring_m=box(-3, -3, 3, 25)),
        Zone(id="row", level="0", kind="parking", ring_m=box(3, 8, 8, 14)),
    ),
    stalls=(
        Stall(id="A1", level="0", zone="row", ring_m=box(3, 8, 8, 10.7), heading_deg=0.0),
        Stall(id="A2", level="0", zone="row", ring_m=box(3, 10.7, 8, 13.4), heading_deg=0.0),
    ),
    lanes=(Lane(id="in", level="0", line_m=((0.0, -3.0), (0.0, 25.0)), width_m=5.0, one_way=False),),
    portals=(Portal(id="gate", level="0", role="boundary", direction="both", line_m=((-3.0, 2.0), (3.0, 2.0))),),
    cameras=(CAMERA,),
)
VIEW = GroundCamera.of(CAMERA, SITE.levels[0])


def seen(x, y, heading, tracklet):
    """The box of a car whose centre is at (x, y)."""
    ahead, aside = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
    corners = [(*((x, y) + a * 2.2 * ahead + b * 0.9 * aside), z) for a in (1, -1) for b in (1, -1) for z in (0.0, 1.5)]
    pixels = VIEW.to_pixels(np.array(corners)).points_px
    (x1, y1), (x2, y2) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return DetectedBox(tracklet=tracklet, kind="car", score=0.9, box_px=(x1, y1, x2, y2), box_sigma_px=(1.0, 1.0))


def path():
    """(seconds, x, y, heading) of a car: in through the gate at 1 s, into A1 until 60 s, out through the gate."""

    def drive(s):
        if s < 3.0:
            return 0.0, -2.0 + 4.0 * s, math.pi / 2
        if s < 6.0:
            turn = (s - 3.0) / 3.0
            return 5.5 * turn, 10.0 - 0.6 * turn, math.pi / 2 * (1 - turn)
        return 5.5, 9.4, 0.0

    for n in range(700):
        s = n / 10
        x, y, heading = drive(s if s < 60 else max(0.0, 66.0 - s)) if s < 66.0 else (0.0, -2.0 - 4.0 * (s - 66.0), 0.0)
        yield s, x, y, heading


def observations(n_frames=700, visible=lambda s: True):
    """Frames at 10 Hz with a clock tick after each; one tracklet in, another out; a view of it on the way."""
    events, sequence = [], 0
    for s, x, y, heading in list(path())[:n_frames]:
        at = START + round(s * SECOND)
        boxes = (seen(x, y, heading, "t-in" if s < 58 else "t-out"),) if visible(s) and y > -5 else ()
        sequence += 1
        frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", boxes=boxes)
        events.append(event("mast", sequence, at, frame))
        if s in (0.5, 58.5):
            sequence += 1
            personal = Personal(embedding=bytes([100, 20, 5]))
            look = {"camera": "mast", "tracklet": "t-in" if s < 58 else "t-out", "kind": "car", "embedder": "e"}
            payload = TrackletEmbedded(**look, box_px=(0.0, 0.0, 9.0, 9.0), quality=0.9, personal=personal)
            events.append(event("mast", sequence, at, payload))
        events.append(event("clock", len(events) + 1, at + 40_000, ClockTicked(worker="w")))
    return events


def event(device, sequence, at, payload):
    key = DeviceKey(device=device, boot_epoch=1, sequence=sequence)
    return ObservationEvent(site="corner", key=key, occurred_at=at, payload=payload)


def run(events, *, fold=None, state=None, after=0, personal=True):
    fold = fold or Fold(SITE)
    state = fold.initial() if state is None else state
    facts = []
    for position, one in enumerate(events, start=after + 1):
        opened = getattr(one.payload, "personal", None) if personal else None
        state, made = fold.step(state, Recorded(position=position, recorded_at=0, event=one), opened)
        facts += made
    return state, facts


def of(facts, *kinds):
    return [fact for fact in facts if isinstance(fact.payload, kinds)]


@pytest.fixture(scope="module")
def visit():
    return run(observations())


def test_a_visit_is_one_vehicle_and_one_session_within_a_third_of_a_second(visit):
    _, facts = visit
    assert len({fact.payload.vehicle for fact in of(facts, VehicleConfirmed)}) == 1
    (closed,) = of(facts, SessionClosed)
    assert abs(closed.payload.entry_at - START - 1.0 * SECOND) < 0.3 * SECOND
    assert abs(closed.payload.exit_at - START - 65.0 * SECOND) < 0.3 * SECOND
    assert [fact.payload.direction for fact in of(facts, PortalCrossed)] == ["in", "out"]
    assert len(of(facts, VehicleLeft)) == 1
    assert of(facts, SessionOrphaned) == []


def test_the_stall_is_taken_while_the_car_stands_in_it_and_no_other_is(visit):
    _, facts = visit
    changes = [(fact.payload.stall, fact.payload.state) for fact in of(facts, StallChanged)]
    assert [state for stall, state in changes if stall == "A1"] == ["free", "occupied", "free"]
    assert [state for stall, state in changes if stall == "A2"] == ["free"]


def test_saved_and_loaded_anywhere_the_fold_goes_on_the_same(visit):
    events, fold = observations(), Fold(SITE)
    _, whole = visit
    for cut in range(0, len(events), 331):
        state, before = run(events[:cut], fold=fold)
        body = fold.pack(state)
        assert fold.pack(fold.unpack(body)) == body
        _, after = run(events[cut:], fold=fold, state=fold.unpack(body), after=cut)
        assert before + after == whole


def test_a_step_leaves_the_state_it_was_given_as_it_was():
    fold, state = Fold(SITE), Fold(SITE).initial()
    for position, one in enumerate(observations(120), start=1):
        kept = fold.pack(state)
        recorded, personal = Recorded(position=position, recorded_at=0, event=one), getattr(one.payload, "personal", None)
        twice = [fold.step(state, recorded, personal) for _ in range(2)]
        assert fold.pack(state) == kept
        assert twice[0][1] == twice[1][1]
        state = twice[0][0]


def test_a_parked_car_outlives_hours_of_silence():
    state, facts = run(observations(300))
    n = len(observations(300))
    ticks = [event("clock", n + k, START + k * 60 * SECOND, ClockTicked(worker="w")) for k in range(1, 600)]
    state, later = run(ticks, state=state, after=n)
    assert [fact.payload.state for fact in of(later, CameraStateChanged)] == ["idle"]
    assert of(later, VehicleLeft, VehicleHidden, SessionClosed) == []
    assert len(of(facts, SessionOpened)) == 1
    assert [track.status for track in state.core.fusion.tracks.values()] == ["parked"]


def test_a_car_that_went_while_nobody_looked_is_missed_when_its_place_is_seen_empty():
    _, facts = run(observations(450, visible=lambda s: s < 30))
    (hidden,) = of(facts, VehicleHidden)
    assert START + 30 * SECOND <= hidden.occurred_at <= START + 32 * SECOND
    assert of(facts, VehicleLeft, SessionClosed) == [], "it is hidden, not gone: nobody saw it leave"


def test_erased_looks_change_no_count(visit):
    _, facts = run(observations(), personal=False)
    assert len(of(facts, SessionClosed)) == len(of(visit[1], SessionClosed))


def test_a_damaged_snapshot_is_refused():
    with pytest.raises(CodecError, match="delete the snapshot"):
        Fold(SITE).unpack(b"\x93\x01")


def test_hash_order_of_the_process_changes_no_byte(visit):
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_fold as t; from twin.events.codec import to_json;"
        "print(hashlib.sha256(b''.join(map(to_json, t.run(t.observations())[1]))).hexdigest())"
    )
    sums = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, os.path.dirname(__file__)]
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        sums.add(done.stdout)
    assert len(sums) == 1
    assert all(to_json(fact) for fact in visit[1])


def delayed(events, by_s, is_late):
    """Events by arrival, with clock ticks as they were: what is late comes so many seconds after its time."""
    arrivals = [(one.occurred_at + (by_s * SECOND if is_late(one) else 0), n, one) for n, one in enumerate(events)]
    return [one for _, _, one in sorted(arrivals, key=lambda arrival: arrival[:2])]


def test_what_is_seen_for_a_moment_in_the_middle_and_never_again_is_dismissed_and_has_no_stay():
    events = []
    for n in range(120):
        at = START + n * SECOND // 10
        boxes = (seen(0.0, 15.0, math.pi / 2, "t-ghost"),) if 60 <= n < 85 else ()
        frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", boxes=boxes)
        events += [event("mast", n + 1, at, frame), event("clock", n + 1, at + 40_000, ClockTicked(worker="w"))]
    _, facts = run(events)
    (confirmed,) = of(facts, VehicleConfirmed)
    (dismissed,) = of(facts, VehicleDismissed)
    assert dismissed.payload.vehicle == confirmed.payload.vehicle
    assert dismissed.payload.n_detections == 25
    assert not of(facts, VehicleHidden, SessionOpened, SessionOrphaned)


def afterwards(from_s):
    """A clock until all that came late is fused."""
    return [event("clock", 9_000 + n, START + (from_s + n) * SECOND, ClockTicked(worker="w")) for n in range(65)]


def frames_between(first_s, last_s):
    return lambda one: isinstance(one.payload, FrameObserved) and first_s * SECOND <= one.occurred_at - START < last_s * SECOND


def net(facts):
    """Net facts as text, without what is about arrival, and stays as they were told last."""
    recorded = [RecordedFact(position=n, recorded_at=0, event=fact) for n, fact in enumerate(facts, 1)]
    of_arrival = (
        ClockEstimated | ObservationLate | FactRetracted | SessionOpened | SessionClosed | SessionOrphaned | SessionAmended
    )
    kept = [fact.event for fact in net_of(recorded) if not isinstance(fact.event.payload, of_arrival)]
    return sorted(f"{fact.occurred_at} {fact.payload}" for fact in kept), stays_of(recorded)


def lately(facts):
    return Counter(fact.payload.fate for fact in facts if isinstance(fact.payload, ObservationLate))


@pytest.fixture(scope="module")
def in_order():
    return net(run(observations())[1])


@pytest.mark.parametrize("by_s", [1, 9, 25])
@pytest.mark.parametrize("seconds", [(0.0, 1.5), (3.0, 8.0), (64.0, 66.5)])
def test_frames_late_inside_the_horizon_change_nothing_in_the_end(in_order, by_s, seconds):
    events = [*observations(), *afterwards(70)]
    expected = net(run(events)[1])
    _, facts = run(delayed(events, by_s, frames_between(*seconds)))
    assert lately(facts).keys() == {"fused_later"}
    assert net(facts) == expected


def test_a_frame_later_than_the_horizon_is_marked_and_changes_nothing():
    events = observations()
    _, without = run([one for one in events if not frames_between(20, 21)(one)])
    _, facts = run(delayed(events, 32, frames_between(20, 21)))
    assert lately(facts) == {"not_fused": 10}
    assert net(facts) == net(without)


def test_a_published_fact_never_changes_and_none_is_superseded_twice():
    draw = random.Random(1)
    events = delayed(observations(), 6, lambda one: isinstance(one.payload, FrameObserved) and draw.random() < 0.2)
    _, facts = run(events)
    ids = [fact.id for fact in facts]
    superseded = [one for fact in facts for one in fact.supersedes]
    assert len(set(ids)) == len(ids)
    assert len(set(superseded)) == len(superseded)
    assert set(superseded) <= set(ids)


def test_a_late_frame_that_changes_nothing_gives_no_correction():
    events = observations()
    _, facts = run(delayed(events, 5, frames_between(30, 30.2)))
    assert lately(facts) == {"fused_later": 2}
    said = {fact.id: fact.payload for fact in facts}
    changed = [fact for fact in facts if fact.supersedes and not isinstance(fact.payload, TrackletAssigned)]
    for fact in changed:  # its place is told again a look earlier, as there were more
        before = said[fact.supersedes[0]]
        assert isinstance(fact.payload, VehicleParked)
        assert replace(fact.payload, evidence=()) == replace(before, evidence=())
    assert len(changed) <= 1, "a parked car seen once more is where it was"


def test_names_do_not_tell_when_something_arrived():
    late = delayed(observations(), 9, frames_between(2.0, 3.0))
    names = [
        {fact.payload.vehicle for fact in run(events)[1] if isinstance(fact.payload, VehicleConfirmed)}
        for events in (observations(), late)
    ]
    assert names[0] == names[1]


def test_saved_and_loaded_while_something_late_waits_the_fold_goes_on_the_same():
    fold, events = Fold(SITE), delayed(observations(), 9, frames_between(63.0, 66.0))
    _, whole = run(events, fold=fold)
    for cut in range(1_300, len(events), 25):
        state, before = run(events[:cut], fold=fold)
        _, after = run(events[cut:], fold=fold, state=fold.unpack(fold.pack(state)), after=cut)
        assert before + after == whole


def test_what_is_remembered_of_the_past_is_bounded_by_the_horizon():
    state, _ = run(observations())
    window = state.window
    begin, closed_at = window.stretches[0].from_at, state.order.closed_at
    assert closed_at - begin <= DEFAULTS.horizon_us + 2 * DEFAULTS.checkpoint_us
    assert min(window.ticks) * DEFAULTS.tick_us >= begin
    assert len(window.stretches) <= 2 + (DEFAULTS.horizon_us + DEFAULTS.checkpoint_us) // DEFAULTS.checkpoint_us


def test_a_calibration_of_earlier_is_used_for_what_was_seen_since():
    look = {"frame_px": CAMERA.frame_px, "geometry": CAMERA.geometry, "sigma_m": 0.0, "range_m": CAMERA.range_m}
    events, late = observations(80), event("mast", 99_999, START, CameraCalibrated(camera="mast", level="0", **look))
    _, in_time = run([late, *events, *afterwards(8)])
    _, in_the_end = run([*events[:60], late, *events[60:], *afterwards(8)])
    assert net(in_the_end) == net(in_time)


def test_a_calibration_that_comes_while_the_past_is_fused_again_is_used_for_all_of_it():
    moved = Pinhole(k=CAMERA.geometry.k, position_m=(0.5, -14.0, 9.0), rotation=look_at(EYE, TARGET))
    look = {"frame_px": CAMERA.frame_px, "geometry": moved, "sigma_m": 0.0, "range_m": CAMERA.range_m}
    calibrated = event("mast", 99_999, START, CameraCalibrated(camera="mast", level="0", **look))
    events = delayed([*observations(400), *afterwards(40)], 4, frames_between(2.0, 3.0))
    state, without = run(events[:520])
    assert state.window.refusion is not None
    in_time = net(run([calibrated, *events])[1])
    assert net(run([*events[:520], calibrated, *events[520:]])[1]) == in_time
    assert not set(net(without)[0]) <= set(in_time[0]), "where the vehicle came in depends on it"


def test_who_calibrated_and_why_changes_nothing_that_is_concluded():
    look = {"frame_px": CAMERA.frame_px, "geometry": CAMERA.geometry, "sigma_m": 0.0, "range_m": CAMERA.range_m}
    plain, told = (
        event("mast", 99_999, START, CameraCalibrated(camera="mast", level="0", **look, **by))
        for by in ({}, {"author": "ann", "reason": "nudged"})
    )
    assert net(run([told, *observations(80)])[1]) == net(run([plain, *observations(80)])[1])


def test_a_new_version_of_the_map_concludes_nothing():
    edited = event("editor", 1, START, SiteEdited(version=2, digest="ab", author="ann", reason="a stall more"))
    assert net(run([*observations(80), edited])[1]) == net(run(observations(80))[1])


def test_a_stay_s_end_that_moves_is_amended():
    events = [*observations(), *afterwards(70)]
    facts = run(delayed(events, 4, frames_between(64.5, 65.6)))[1]
    closed = [fact for fact in facts if isinstance(fact.payload, SessionClosed)]
    assert len(closed) >= 1
    recorded = [RecordedFact(position=n, recorded_at=0, event=fact) for n, fact in enumerate(facts, 1)]
    (stay,) = stays_of(recorded).values()
    assert stay.status == "closed"


@pytest.mark.parametrize("by_s", [8, 20, 29])
def test_late_data_amends_no_stay_that_is_final(by_s):
    fold, final_at, n_amended = Fold(SITE), {}, 0
    state = fold.initial()
    events = delayed([*observations(), *afterwards(70)], by_s, frames_between(64.8, 65.2))
    for position, one in enumerate(events, 1):
        after, facts = fold.step(state, Recorded(position=position, recorded_at=0, event=one), None)
        for told in (fact.payload for fact in facts):
            if isinstance(told, SessionAmended):
                n_amended += 1
                assert state.order.closed_at < final_at[told.session]
            if isinstance(told, SessionAmended | SessionClosed):
                final_at[told.session] = told.final_at
        state = after
    assert n_amended, "the end of the stay moved"


def crossed(direction, at, vehicle="v", certainty=1.0, flags=()):
    where = {"vehicle": vehicle, "portal": "gate", "direction": direction, "position_m": (0.0, 2.0), "speed_mps": 3.0}
    payload = PortalCrossed(**where, certainty=certainty, flags=flags)
    return FactEvent(site="corner", fold_version="1", cause=at, ordinal=0, occurred_at=at, payload=payload)


def sessions_of(*facts):
    sessions = Sessions(SITE, SessionsState())
    return sessions, [concluded for fact in facts for _, concluded in sessions.react(fact)]


def test_a_vehicle_has_one_open_session_however_often_it_comes_in():
    sessions, made = sessions_of(crossed("in", 1), crossed("in", 2), crossed("out", 5), crossed("in", 9))
    assert [type(one) for one in made] == [SessionOpened, SessionClosed, SessionOpened]
    assert (made[1].entry_at, made[1].exit_at) == (1, 5)
    assert len(sessions.finished().open) == 1


def test_an_exit_without_an_entry_is_an_orphan_without_a_time_of_entry():
    _, (orphan,) = sessions_of(crossed("out", 7))
    assert isinstance(orphan, SessionOrphaned)
    assert orphan.exit_at == 7


def test_an_exit_before_its_entry_is_no_negative_stay_and_is_marked():
    _, made = sessions_of(crossed("in", 10), crossed("out", 4))
    assert made[1].exit_at - made[1].entry_at == 0
    assert "unverified" in made[1].flags


def test_a_session_is_as_sure_as_its_less_sure_end():
    _, made = sessions_of(crossed("in", 1, certainty=0.95), crossed("out", 2, certainty=0.6, flags=("ambiguous_identity",)))
    assert made[1].confidence == right_share(0.6) < right_share(0.95)
    assert set(made[1].flags) == {"ambiguous_identity", "unverified"}


def test_a_portal_that_is_only_counted_bills_nobody():
    sessions = Sessions(SITE, SessionsState())
    payload = PortalCrossed(vehicle="v", portal="counter", direction="in", position_m=(0.0, 0.0), speed_mps=1.0)
    counted = FactEvent(site="corner", fold_version="1", cause=1, ordinal=0, occurred_at=1, payload=payload)
    assert sessions.react(counted) == []
