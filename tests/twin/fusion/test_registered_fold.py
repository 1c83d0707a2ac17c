"""The whole fold where one camera's pose is taken to be another: what it says, where vehicles stand, what is saved."""

import math

import numpy as np
import pytest
from msgspec.structs import replace
from square import AT, Square

from twin.events.envelope import DeviceKey, ObservationEvent, Recorded
from twin.events.facts import CameraBiasEstimated, VehicleParked
from twin.events.ids import SECOND
from twin.events.observations import CameraCalibrated, ClockTicked, DetectedBox, FrameObserved
from twin.fusion.parameters import DEFAULTS
from twin.rules.fold import Fold
from twin.spatial.ground import BODY, BUMPERS, WHEELS

PITCHED = {"b": (0.6, 0.0, 0.0)}
STOOD = ("S0", "S7", "S8", "S14", "S16", "S22", "S24", "S31")  # in no camera one before another
SECONDS, RATE = 18, 5


def box(view, x, y, tracklet):
    """What a camera draws around a car that stands as its stall does."""
    corners = [(x - aside * 1.8, y + ahead * 4.4, up * 1.5) for ahead, aside, up in (*BODY, *WHEELS, *BUMPERS)]
    pixels = view.to_pixels(np.array(corners)).points_px
    (x1, y1), (x2, y2) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return DetectedBox(tracklet=tracklet, kind="car", score=0.9, box_px=(x1, y1, x2, y2), box_sigma_px=(2.0, 2.0))


def event(device, sequence, at, payload):
    key = DeviceKey(device=device, boot_epoch=1, sequence=sequence)
    return ObservationEvent(site="square", key=key, occurred_at=at, payload=payload)


def observations(square, first=0, last=SECONDS * RATE):
    """Frames of all cameras, in which the same vehicles stand, with a clock tick after each round."""
    shown = {
        name: tuple(box(view, *square.scene.centre_m[stall], f"{name}-{stall}") for stall in STOOD)
        for name, view in square.true.items()
    }
    for n in range(first, last):
        at = AT + n * SECOND // RATE
        for name, boxes in shown.items():
            frame = FrameObserved(camera=name, frame_px=(1280, 720), detector="d", clock="ntp", boxes=boxes)
            yield event(name, n + 1, at, frame)
        yield event("clock", n + 1, at + 40_000, ClockTicked(worker="w"))


def run(fold, events, state=None, after=0):
    state, facts = state or fold.initial(), []
    for position, one in enumerate(events, start=after + 1):
        state, made = fold.step(state, Recorded(position=position, recorded_at=0, event=one), None)
        facts += made
    return state, facts


def of(facts, kind):
    return [fact.payload for fact in facts if isinstance(fact.payload, kind)]


def off_m(square, state):
    """Mean distance of vehicles from where they stand."""
    stood = {track.tracklets[0].partition("-")[2]: track.motion for track in state.core.fusion.tracks.values()}
    assert set(stood) == set(STOOD)
    return np.mean([math.dist((one.x, one.y), square.scene.centre_m[stall]) for stall, one in stood.items()])


@pytest.fixture(scope="module")
def learned():
    square = Square(PITCHED)
    return square, *run(Fold(square.site), observations(square))


def test_it_says_which_camera_is_off_and_by_how_much(learned):
    _, _, facts = learned
    told = of(facts, CameraBiasEstimated)
    assert {fact.camera for fact in told} == {"b"}
    # turned by an angle a, a camera of height h is off by a (h² + d²) / h; here it takes places to be nearer than they are
    assert told[-1].along_m == pytest.approx(-math.radians(0.6) * (6.0**2 + told[-1].distance_m ** 2) / 6.0, rel=0.2)
    assert abs(told[-1].across_m) < 0.15


def test_vehicles_stand_nearer_to_where_they_do_than_without(learned):
    square, state, _ = learned
    without, facts = run(Fold(square.site, replace(DEFAULTS, registers_cameras=False)), observations(square))
    assert not of(facts, CameraBiasEstimated)
    assert off_m(square, state) < 0.5 * off_m(square, without)


def test_where_all_cameras_are_right_nothing_is_otherwise():
    square = Square({})
    state, facts = run(Fold(square.site), observations(square))
    _, without = run(Fold(square.site, replace(DEFAULTS, registers_cameras=False)), observations(square))
    assert all(bias.n == len(STOOD) for bias in state.core.fusion.biases.values())
    assert [fact.payload for fact in facts] == [fact.payload for fact in without]


def test_a_saved_state_goes_on_as_if_it_had_not_been_saved(learned):
    square, state, facts = learned
    fold, events = Fold(square.site), list(observations(square))
    half = len(events) * 3 // 4
    before, first = run(fold, events[:half])
    assert before.core.fusion.biases, "saved while some of it was known"
    again = Fold(square.site)
    after, second = run(again, events[half:], again.unpack(fold.pack(before)), half)
    assert [*first, *second] == facts
    assert after.core.fusion.biases == state.core.fusion.biases


def test_one_camera_learns_nothing():
    square = Square({"b": PITCHED["b"]}, "b")
    state, facts = run(Fold(square.site), observations(square))
    assert of(facts, VehicleParked)
    assert not of(facts, CameraBiasEstimated)
    assert state.core.fusion.biases == {}


def test_a_camera_that_is_calibrated_anew_is_no_longer_put_right(learned):
    square, state, _ = learned
    right = Square({}).site.cameras[1].geometry
    at = AT + SECONDS * SECOND
    calibrated = CameraCalibrated(camera="b", level="ground", frame_px=(1280, 720), geometry=right, sigma_m=0.1, range_m=60.0)
    fold, n = Fold(square.site), SECONDS * RATE
    state, _ = run(fold, [event("b", 9_000, at, calibrated)], state, 9_000)
    state, facts = run(fold, observations(square, n, n + 20), state, 9_001)
    assert not of(facts, CameraBiasEstimated)
    for track in state.core.fusion.tracks.values():
        if (place := track.looks.get("b")) is not None and track.stall is not None:
            assert math.dist((place.x, place.y), square.scene.centre_m[track.stall]) < 0.35
