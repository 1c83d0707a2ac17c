"""Who comes up again: a parked vehicle whose place is taken by a new track is that track."""

import pytest
from msgspec.structs import replace
from tracks import view

from site_models.schema import Level, Portal
from twin.events.ids import SECOND
from twin.events.observations import DetectedBox, FrameObserved
from twin.fusion.frame import Measured, Seen
from twin.fusion.identity import is_contested, reappeared
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingFrame
from twin.fusion.place import CLEAR, looked
from twin.fusion.scene import Scene
from twin.fusion.state import Apart, FusionState, Track
from twin.spatial.placement import corners_of

T0 = 1_767_268_800_000_000
LOOK = looked(None, T0, (0.0, 0.0), (0.1, 0.0, 0.1), CLEAR, (0.0, 0.0, 9.0, 9.0))


@pytest.fixture
def scene(lot):
    return Scene(lot, DEFAULTS)


@pytest.fixture
def deck(lot):
    """The lot with a level above it; the ramp begins at (40, 3) and ends at (46, 3)."""
    up = Portal(id="up", level="ground", role="level", direction="both", line_m=((40.0, 0.0), (40.0, 6.0)), to_level="deck")
    down = Portal(id="down", level="deck", role="level", direction="both", line_m=((46.0, 0.0), (46.0, 6.0)), to_level="ground")
    return Scene(
        replace(lot, levels=(*lot.levels, Level(id="deck", elevation_m=3.0)), portals=(*lot.portals, up, down)), DEFAULTS
    )


def track(number, x, *, status="parked", born_at=T0, seen_at=T0, vehicle=None):
    return Track(
        id=number,
        level="ground",
        status=status,
        motion=born(seen_at, x, 0.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=born_at,
        first_m=(x, 0.0),
        is_inner_birth=True,
        hits=90,
        seen_at=seen_at,
        seen_by="a",
        vehicle=vehicle,
    )


@pytest.mark.parametrize(
    ("away", "seen_s", "absence", "is_it"),
    [
        (1.0, 10.0, 0.0, True),  # it moved a step while its tracklet broke
        (2.5, 10.0, 0.0, False),  # the next stall, and nobody misses the parked one
        (1.0, 11.0, 0.0, False),  # both are seen: who stands there is not who comes up
    ],
)
def test_what_comes_up_where_a_parked_vehicle_was_last_seen_is_it(scene, away, seen_s, absence, is_it):
    parked = track(1, 0.0, seen_at=T0 + round(seen_s * SECOND), vehicle="v")
    parked.looks = {"a": LOOK}
    parked.absence = absence
    newborn = track(2, away, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 12 * SECOND)
    found = reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), scene)
    assert (found is not None) == is_it


@pytest.mark.parametrize(("status", "is_it"), [("hidden", True), ("moving", False)])
def test_who_was_just_found_gone_is_not_seen_elsewhere(scene, status, is_it):
    """Another's box held it at its place until 0.4 s ago, while it drove off as the newborn."""
    gone = track(1, 0.0, status=status, seen_at=T0 + round(10.8 * SECOND), vehicle="v")
    gone.absence, gone.gallery = 12.5, (view(1.0),)
    newborn = track(2, 2.0, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + round(11.2 * SECOND))
    newborn.gallery = (view(1.0),)
    assert (reappeared(newborn, FusionState(tracks={1: gone, 2: newborn}), scene) is not None) == is_it


def test_who_was_seen_beside_the_parked_vehicle_is_not_it(scene):
    parked = track(1, 0.0, seen_at=T0 + 10 * SECOND, vehicle="v")
    parked.looks = {"a": LOOK}
    newborn = track(2, 1.0, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 12 * SECOND)
    newborn.apart = {1: Apart(20, T0 + 11 * SECOND)}
    assert reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), scene) is None


def test_whose_tracklet_was_refused_because_it_was_off_may_be_who_drives_off(scene):
    parked = track(1, 0.0, seen_at=T0 + 10 * SECOND, vehicle="v")
    parked.looks, parked.absence = {"a": LOOK}, 4.0
    newborn = track(2, 1.0, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 12 * SECOND)
    newborn.apart = {1: Apart(20, T0 + 10 * SECOND)}
    assert reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), scene) is not None


@pytest.mark.parametrize(("missed_s", "is_it"), [(74.0, True), (15.0, False)])
def test_who_was_looked_for_in_vain_a_minute_ago_need_not_have_driven_off_now(scene, missed_s, is_it):
    """It was taken to have parked unseen; what hides it let one frame through in which it was not seen."""
    parked = track(1, 0.0, vehicle="v")
    parked.absence, parked.absent_since, parked.missed_at = 0.9, T0 + 15 * SECOND, T0 + round(missed_s * SECOND)
    newborn = track(2, 36.0, status="moving", born_at=T0 + 75 * SECOND, seen_at=T0 + 77 * SECOND)
    found = reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), scene)
    assert (found is not None) == is_it


@pytest.mark.parametrize(
    ("seconds", "x", "is_it"),
    [
        (3.0, 50.0, True),  # 2 m to the ramp, 6 m of it, 4 m on
        (0.2, 50.0, False),  # nobody drives 12 m in that
    ],
)
def test_who_drove_onto_a_ramp_that_nobody_sees_comes_up_on_the_other_level(deck, seconds, x, is_it):
    hidden = track(1, 38.0, status="hidden", vehicle="v")
    hidden.motion = replace(hidden.motion, y=3.0)
    newborn = track(2, x, status="moving", born_at=T0 + round(seconds * SECOND), seen_at=T0 + round(seconds * SECOND))
    newborn.level, newborn.first_m = "deck", (x, 3.0)
    found = reappeared(newborn, FusionState(tracks={1: hidden, 2: newborn}), deck)
    assert (found is not None) == is_it


def test_levels_that_no_ramp_joins_hand_nobody_over(lot):
    scene = Scene(replace(lot, levels=(*lot.levels, Level(id="deck", elevation_m=3.0))), DEFAULTS)
    hidden, newborn = track(1, 38.0, status="hidden", vehicle="v"), track(2, 40.0, status="moving", born_at=T0 + 9 * SECOND)
    newborn.level = "deck"
    assert reappeared(newborn, FusionState(tracks={1: hidden, 2: newborn}), scene) is None


def test_who_is_only_taken_to_be_parked_may_come_up_elsewhere(scene):
    unseen = track(1, 2.0, vehicle="v")
    newborn = track(2, 12.0, status="moving", born_at=T0 + 5 * SECOND, seen_at=T0 + 7 * SECOND)
    state = FusionState(tracks={1: unseen, 2: newborn})
    assert reappeared(newborn, state, scene) is not None
    unseen.looks = {"a": LOOK}
    assert reappeared(newborn, state, scene) is None, "a camera saw it stand"


def found_as(scene, candidate, newborn):
    return reappeared(newborn, FusionState(tracks={1: candidate, 2: newborn}), scene)


@pytest.mark.parametrize(("cosine", "is_it"), [(1.0, True), (0.0, False)])
def test_whoever_does_not_look_like_it_is_not_taken_for_it_however_well_the_time_fits(scene, cosine, is_it):
    hidden, newborn = (
        track(1, 2.0, status="hidden", vehicle="v"),
        track(2, 22.0, status="moving", born_at=T0 + 5 * SECOND, seen_at=T0 + 7 * SECOND),
    )
    assert found_as(scene, hidden, newborn) is not None, "with nothing but time and way to go by"
    hidden.gallery, newborn.gallery = (view(1.0),), (view(cosine),)
    assert (found_as(scene, hidden, newborn) is not None) == is_it


@pytest.mark.parametrize(
    ("seen_s", "away", "cosine", "is_it"),
    [
        (9.0, 12.0, 1.0, True),  # it stood when it was last seen, and drove 12 m until it was seen again
        (9.0, 12.0, 0.5, False),  # so far off, looks must tell
        (9.0, 40.0, 1.0, False),  # nobody drives 40 m in that
        (11.0, 3.0, 1.0, True),  # boxes of others held its place for a second after it drove off
        (11.0, 9.0, 1.0, False),
        (14.0, 3.0, 1.0, False),  # both are seen
    ],
)
def test_who_is_seen_no_more_where_it_stood_may_be_what_comes_up_near_by_and_looks_like_it(scene, seen_s, away, cosine, is_it):
    parked = track(1, 0.0, seen_at=T0 + round(seen_s * SECOND), vehicle="v")
    parked.looks, parked.gallery = {"a": LOOK}, (view(1.0),)
    newborn = track(2, away, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 14 * SECOND)
    newborn.gallery = (view(cosine),)
    assert (found_as(scene, parked, newborn) is not None) == is_it


@pytest.mark.parametrize(("x", "is_it"), [(10.0, True), (-6.0, False)])
def test_who_was_lost_on_the_move_comes_up_ahead_and_not_behind(scene, x, is_it):
    """Lost at x = 0 at 5 m/s to the east; two seconds later something begins 10 m ahead, or 6 m behind."""
    lost = track(1, 0.0, status="hidden", vehicle="v1")
    lost.motion = replace(lost.motion, vx=5.0, p=(0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.3, 0.0, 0.3))
    newborn = track(2, x, status="tentative", born_at=T0 + 2 * SECOND, seen_at=T0 + 4 * SECOND)
    state = FusionState(tracks={1: lost, 2: newborn}, watched_since={"a": T0 - 3_600 * SECOND})
    found = reappeared(newborn, state, scene)
    assert (found is not None) == is_it


def lost_on_the_move(number, x, seen_s, speed_mps):
    one = track(
        number, x, status="hidden" if seen_s < -2.0 else "moving", vehicle=f"v{number}", seen_at=T0 + round(seen_s * SECOND)
    )
    one.motion = replace(one.motion, vx=speed_mps, p=(0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.3, 0.0, 0.3))
    return one


@pytest.mark.parametrize(
    ("first_s", "second_s", "is_it"),
    [
        (-3.0, -0.8, True),  # the one that went in first has had the time to be here
        (-0.8, -0.3, False),  # it was seen a moment ago: its own box missed a frame or two
        (-60.0, -2.5, False),  # who went in a minute ago is somewhere else
    ],
)
def test_a_box_beyond_a_blind_stretch_is_not_the_second_ones_where_it_may_be_the_firsts(scene, first_s, second_s, is_it):
    first, second = lost_on_the_move(1, 0.0, first_s, 4.0), lost_on_the_move(2, 0.0, second_s, 4.0)
    second.status = "moving"
    shown = DetectedBox(tracklet="b:1", kind="car", score=0.9, box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    measured = Measured(shown, (12.0, 0.0), (0.3, 0.0, 0.3), is_fresh=True)
    frame = FrameObserved(camera="right", frame_px=(640, 360), detector="d", clock="ntp", boxes=(shown,))
    camera, level = scene.camera("right", T0, ())
    seen = Seen(T0, PendingFrame(T0, "right", 1, 9, "e9", frame), level, camera, (measured,), (), corners_of([measured.box]))
    state = FusionState(tracks={1: first, 2: second}, watched_since={"right": T0 - 3_600 * SECOND})
    assert is_contested(second, measured, seen, state, scene) == is_it
