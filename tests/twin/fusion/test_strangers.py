"""What a parked vehicle is not: boxes of its neighbours that were taken for it, and boxes that the frame cuts."""

import numpy as np
import pytest
from msgspec.structs import replace
from tracks import car

from site_models.camera_entries import look_at
from site_models.schema import Camera, Datum, Lane, Level, Pinhole, Site, Stall, Zone
from twin.events.envelope import DeviceKey, ObservationEvent, Recorded
from twin.events.facts import VehicleConfirmed, VehicleDismissed, VehicleHidden, VehicleParked
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, DetectedBox, FrameObserved
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured
from twin.fusion.motion import Motion
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingFrame
from twin.fusion.place import CLEAR, COVERED, CUT, is_stranger, looked
from twin.fusion.scene import Scene
from twin.fusion.standing import denies
from twin.fusion.state import FusionState, Track
from twin.fusion.step import Step
from twin.rules.fold import Fold
from twin.spatial.camera import GroundCamera

START = 1_767_225_600 * SECOND
COV = (0.3, 0.0, 0.3)


def box(x1, y1, x2, y2):
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def site(width_px=1280):
    eye, target = (0.0, -14.0, 9.0), (0.0, 6.0, 0.0)
    pinhole = Pinhole(k=(640.0, 640.0, 640.0, 360.0), position_m=eye, rotation=look_at(eye, target))
    return Site(
        name="corner",
        datum=Datum(latitude=0.0, longitude=0.0),
        levels=(Level(id="0"),),
        zones=(
            Zone(id="lane", level="0", kind="lane", ring_m=box(-3, -3, 3, 25)),
            Zone(id="row", level="0", kind="parking", ring_m=box(3, 8, 8, 14)),
        ),
        stalls=(Stall(id="A1", level="0", zone="row", ring_m=box(3, 8, 8, 10.7), heading_deg=0.0),),
        lanes=(Lane(id="in", level="0", line_m=((0.0, -3.0), (0.0, 25.0)), width_m=5.0, one_way=False),),
        cameras=(Camera(id="mast", level="0", frame_px=(width_px, 720), geometry=pinhole, range_m=60.0, clock="ntp"),),
    )


def edges(x, y):
    """The box of a car with its nose to the east."""
    camera = site().cameras[0]
    corners = [(x + a, y + b, z) for a in (2.2, -2.2) for b in (0.9, -0.9) for z in (0.0, 1.5)]
    pixels = GroundCamera.of(camera, site().levels[0]).to_pixels(np.array(corners)).points_px
    return (*pixels.min(axis=0).tolist(), *pixels.max(axis=0).tolist())


def facts_of(width_px, box_px, truncated, seconds=8):
    fold = Fold(site(width_px))
    state, facts = fold.initial(), []
    shown = DetectedBox(tracklet="t", kind="car", score=0.9, box_px=box_px, box_sigma_px=(1.0, 1.0), truncated=truncated)
    for number in range(1, 20 * seconds + 1):
        at = START + number * SECOND // 20
        payload = ClockTicked(worker="w")
        if number % 2:
            payload = FrameObserved(camera="mast", frame_px=(width_px, 720), detector="d", clock="ntp", boxes=(shown,))
        key = DeviceKey(device="mast" if number % 2 else "clock", boot_epoch=1, sequence=number)
        event = ObservationEvent(site="corner", key=key, occurred_at=at, payload=payload)
        state, made = fold.step(state, Recorded(position=number, recorded_at=0, event=event), None)
        facts += made
    return [one.payload for one in facts]


def test_a_box_that_has_not_changed_since_it_had_no_place_is_not_where_it_was_placed_before():
    # A car drives at 3 m/s until the frame cuts it below, where it then stands: nobody saw where.
    whole = [edges(0.0, 2.0 + 0.3 * n) for n in range(30)]
    fold = Fold(site())
    state, told = fold.initial(), []
    for number in range(1, 200):
        n, at = number // 2, START + number * SECOND // 20
        corners = whole[min(n, len(whole) - 1)]
        shown = DetectedBox(
            tracklet="t", kind="car", score=0.9, box_px=corners, box_sigma_px=(1.0, 1.0), truncated=("bottom",) * (n >= 30)
        )
        frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", boxes=(shown,))
        if n >= 35:
            frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", unchanged=("t",))
        payload = frame if number % 2 else ClockTicked(worker="w")
        key = DeviceKey(device="mast" if number % 2 else "clock", boot_epoch=1, sequence=number)
        event = ObservationEvent(site="corner", key=key, occurred_at=at, payload=payload)
        state, made = fold.step(state, Recorded(position=number, recorded_at=0, event=event), None)
        told += [type(one.payload) for one in made]
    assert VehicleConfirmed in told
    assert VehicleDismissed in told
    assert VehicleParked not in told


def test_a_car_of_which_the_frame_shows_one_side_is_found_in_its_stall():
    x1, y1, x2, y2 = edges(5.5, 9.4)
    width = round(x1 + 0.4 * (x2 - x1))
    (parked, *_) = [one for one in facts_of(width, (x1, y1, float(width), y2), ("right",)) if isinstance(one, VehicleParked)]
    assert parked.stall == "A1"
    assert np.hypot(parked.position_m[0] - 5.5, parked.position_m[1] - 9.4) < 0.8


@pytest.mark.parametrize(
    ("at", "truncated"),
    [((0.0, 9.4), ("right",)), ((5.5, 9.4), ("right", "bottom")), ((5.5, 9.4), ("left", "right"))],
)
def test_elsewhere_and_with_less_to_see_a_cut_box_is_nobody(at, truncated):
    x1, y1, x2, y2 = edges(*at)
    width = round(x1 + 0.4 * (x2 - x1))
    assert not [one for one in facts_of(width, (x1, y1, float(width), y2), truncated) if isinstance(one, VehicleConfirmed)]


def known_by(rank):
    look = None
    for number in range(12):
        look = looked(look, START + number, (5.5, 9.4), COV, rank, (0.0, 0.0, 10.0, 10.0))
    return look


def parked_track():
    p = (0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Track(
        id=1,
        level="0",
        status="parked",
        motion=Motion(START, 5.5, 9.4, 0.0, 0.0, p),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=START,
        first_m=(5.5, 9.4),
        is_inner_birth=False,
        hits=100,
        seen_at=START,
        seen_by="own",
        vehicle="v",
        looks={"own": known_by(CLEAR)},
    )


def parking_on(scene):
    return Draft(FusionState(), scene, Emission("corner", "2", 1, lambda _: [])).parking


def measured(tracklet, x, is_fresh=True):
    shown = DetectedBox(tracklet=tracklet, kind="car", score=0.9, box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    return Measured(shown, (x, 9.4), COV, is_fresh)


@pytest.mark.parametrize("shows", [True, False])  # by a full box that is where it was, or by saying that nothing changed
@pytest.mark.parametrize(("every", "n"), [(3 * SECOND, 4), (SECOND // 10, 1)])
def test_who_is_off_again_and_again_while_the_vehicle_stands_is_doubted_and_who_is_off_for_a_moment_is_not(shows, every, n):
    parking = parking_on(Scene(site(), DEFAULTS))
    track = parked_track()
    for number in range(4):
        at = START + (number + 1) * every
        parking.measure(track, measured("neighbour", 8.2), "other", at)
        parking.measure(track, measured("own", 5.5, shows), "own", at + 1)
    assert track.status == "parked"
    assert {name: doubt.n for name, doubt in track.doubts.items()} == {"neighbour": n}


def test_a_camera_that_sees_it_only_since_it_drives_off_does_not_say_that_it_stands():
    parking = parking_on(Scene(site(), DEFAULTS))
    track = parked_track()
    for number in range(8):  # from 6 m on by 0.3 m each; the newer camera is slower, and its own mean drives along
        at, x = START + (number + 1) * SECOND // 5, 6.0 + 0.3 * number
        if track.status == "parked":
            parking.measure(track, measured("own", x), "own", at)
        if track.status == "parked":
            parking.measure(track, measured("newer", x), "newer", at + 1)
    assert track.status == "moving"


def test_a_camera_that_comes_to_see_more_of_a_vehicle_as_it_creeps_off_sees_no_stranger():
    """It is seen whole once it has left the cover; the other camera's box of it is cut, and says little."""
    parking = parking_on(Scene(site(), DEFAULTS))
    track = parked_track()
    track.looks = {"own": known_by(COVERED), "other": known_by(CUT)}
    for number in range(8):  # at 1 m/s
        parking.measure(track, measured("own", 6.8 + 0.2 * number), "own", START + 13 * SECOND + number * SECOND // 5)
        assert not is_stranger(track.looks, "own")


def test_of_a_vehicle_that_stands_for_weeks_only_the_newest_doubts_are_kept():
    parking = parking_on(Scene(site(), DEFAULTS))
    track = parked_track()
    for number in range(20):
        at = START + (number + 1) * 3 * SECOND
        parking.measure(track, measured(f"neighbour-{number}", 8.2), "other", at)
        parking.measure(track, measured("own", 5.5), "own", at + 1)
    assert list(track.doubts) == [f"neighbour-{number}" for number in range(12, 20)]


@pytest.mark.parametrize(("n_frames", "status"), [(20, "parked"), (80, "hidden")])
def test_who_was_only_taken_to_be_parked_is_missed_where_its_place_is_seen_empty(n_frames, status):
    track = parked_track()
    track.looks = {}
    scene, emission = Scene(site(), DEFAULTS), Emission("corner", "2", 1, lambda _: [])
    step = Step(FusionState(tracks={1: track}), scene, emission)
    for number in range(n_frames):
        at = START + number * SECOND // 10
        frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", boxes=())
        step.fuse((PendingFrame(at, "mast", 1, number, f"o{number}", frame),))
    assert step._draft.state.tracks[1].status == status


def test_a_parked_vehicle_is_not_missed_while_its_own_box_is_shown_without_a_place():
    """Its box is cut below for a moment, as a person stands before it, and then does not change for 80 s."""
    fold = Fold(site())
    state, told = fold.initial(), []
    for number in range(1, 2_001):
        n, at = number // 2, START + number * SECOND // 20
        shown = DetectedBox(tracklet="t", kind="car", score=0.9, box_px=edges(5.0, 9.0), box_sigma_px=(1.0, 1.0))
        cut = replace(shown, truncated=("bottom",))
        boxes = (shown,) if n < 150 else (cut,) if n < 152 else ()
        frame = FrameObserved(camera="mast", frame_px=(1280, 720), detector="d", clock="ntp", boxes=boxes)
        payload = (frame if boxes else replace(frame, unchanged=("t",))) if number % 2 else ClockTicked(worker="w")
        key = DeviceKey(device="mast" if number % 2 else "clock", boot_epoch=1, sequence=number)
        event = ObservationEvent(site="corner", key=key, occurred_at=at, payload=payload)
        state, made = fold.step(state, Recorded(position=number, recorded_at=0, event=event), None)
        told += [type(one.payload) for one in made]
    assert VehicleParked in told
    assert VehicleHidden not in told


OFF = (0.0, -2.0)


def parked_and_off(n_looks):
    """A vehicle stands; one camera's box is 2 m off, another camera has so many looks of it at (10, 10)."""
    look = None
    for number in range(n_looks):
        look = looked(look, START + number * SECOND, (10.0, 10.0), COV, CLEAR, (0.0, 0.0, 9.0, 9.0))
    looks = {} if look is None else {"far": look}
    track = car(1, START, 10.0, 10.0, level="0", status="parked", seen_by="near", looks=looks)
    track.away, track.away_by, track.away_m = 1, "near:1", OFF
    return track


@pytest.mark.parametrize(
    ("y", "covariance_m2", "n_looks", "is_fresh", "says"),
    [
        (10.0, (0.3, 0.0, 0.3), 20, True, True),
        (8.6, (0.3, 0.0, 0.3), 20, True, False),  # nearer to where the other camera sees it
        (10.0, (0.3, 0.0, 5.0), 20, True, False),  # 2 m are nothing to it
        (10.0, (5.0, 0.0, 0.3), 20, True, True),  # that way it sees well
        (10.0, (0.3, 0.0, 0.3), 4, True, False),  # it may have begun to look when it had left
        (10.0, (0.3, 0.0, 0.3), 4, False, True),  # its box has not changed for long
        (10.0, (0.3, 0.0, 0.3), 9, False, False),  # not for so long that it need have been the same vehicle's before
        (10.0, (0.3, 0.0, 5.0), 4, False, False),  # nor would it
        (10.0, (0.3, 0.0, 0.3), 0, False, False),  # it knows nothing
    ],
)
def test_only_a_camera_that_would_see_a_vehicle_leave_says_that_it_stands(y, covariance_m2, n_looks, is_fresh, says):
    shown = DetectedBox(tracklet="far:1", kind="car", score=0.9, box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    measured = Measured(shown, (10.0, y), covariance_m2, is_fresh=is_fresh)
    assert denies(parked_and_off(n_looks), measured, "far", START + 10 * SECOND) == says


def looks_at(track, offs, every_us, lot_scene):
    """Looks of the camera "far" at a parked vehicle that are so far off its place, in y; returns how it is in the end."""
    parking = parking_on(lot_scene)
    shown = DetectedBox(tracklet="far:1", kind="car", score=0.9, box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    for number, off in enumerate(offs):
        parking.measure(track, Measured(shown, (10.0, 10.0 + off), COV, True), "far", START + 30 * SECOND + number * every_us)
    return track.status


@pytest.mark.parametrize(
    ("offs", "every_us", "status"),
    [
        ((-2.0, -2.0, -2.0), SECOND // 10, "moving"),
        ((-2.0, 0.0, -2.0, 0.0, -2.0, 0.0), SECOND // 10, "parked"),  # it is back each time: noise
        ((-2.0, -2.0, -2.0), 3 * SECOND, "parked"),  # who drives off is off again sooner
    ],
)
@pytest.mark.parametrize("n_looks", [5, 30])
def test_only_looks_in_a_row_are_a_departure(offs, every_us, status, n_looks):
    track = parked_and_off(n_looks)
    track.away, track.away_by = 0, None
    assert looks_at(track, offs, every_us, Scene(site(), DEFAULTS)) == status


@pytest.mark.parametrize(("step_m", "status"), [(0.2, "moving"), (0.0, "parked")])
def test_every_other_box_of_one_that_creeps_off_may_be_covered(step_m, status):
    """A box whose lower edge is covered tells little of the place: neither that the vehicle is off nor that it is back."""
    parking = parking_on(Scene(site(), DEFAULTS))
    track = parked_track()
    for number in range(14):
        look = measured("own", 5.5 + step_m * number)
        if number % 2:
            look = replace(look, rank=COVERED, covariance_m2=(1.3, 0.0, 1.3))
        if track.status == "parked":
            parking.measure(track, look, "own", START + 2 * SECOND + number * SECOND // 5)
    assert track.status == status


@pytest.mark.parametrize(("speed_mps", "status"), [(1.0, "moving"), (0.0, "parked")])
def test_who_creeps_on_while_ever_more_of_it_is_covered_does_not_park_where_it_was_seen_whole(speed_mps, status):
    parking = parking_on(Scene(site(), DEFAULTS))
    track = car(1, START, 0.0, 9.4, level="0")
    for number in range(40):
        at, x = START + number * SECOND // 5, speed_mps * number / 5
        track.motion = Motion(at, x, 9.4, speed_mps, 0.0, (0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.1))
        shown = measured("own", x)
        parking.watch_still(track, shown if number < 2 else replace(shown, rank=COVERED), "own")
        if track.status == "moving":
            parking.settle(track)
    assert track.status == status
