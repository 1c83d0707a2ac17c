"""Who leaves: one that was lost on the site is recognized by its looks, and who took another's name is doubted."""

import pytest
from tracks import view

from twin.events.facts import IdentitiesMerged, PortalCrossed, VehicleLeft
from twin.events.ids import SECOND
from twin.fusion.appearance import PRIOR_NATS
from twin.fusion.emission import Emission
from twin.fusion.leaving import recognized
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import Apart, FusionState, Track, TrailPoint
from twin.fusion.step import Step

T0 = 1_767_268_800_000_000
LEFT_AT = T0 + 60 * SECOND


RED, BLUE, REDDISH = view(1.0), view(0.0, 1.0), view(0.9)


def track(number, gallery, *, status="moving", born_at=T0, seen_at=LEFT_AT, x=77.0, has_entered=False):
    return Track(
        id=number,
        level="ground",
        status=status,
        motion=born(seen_at, x, 3.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=born_at,
        first_m=(x, 3.0),
        is_inner_birth=True,
        hits=90,
        seen_at=seen_at,
        seen_by="right",
        vehicle=f"v{number}",
        gallery=gallery,
        has_entered=has_entered,
    )


def leaving(gallery=(RED,)):
    return track(9, gallery, born_at=T0 + 40 * SECOND)


def lost(number, gallery, *, status="parked", seen_s=30.0, x=40.0, has_entered=True):
    return track(number, gallery, status=status, seen_at=T0 + round(seen_s * SECOND), x=x, has_entered=has_entered)


@pytest.mark.parametrize(
    ("tracks", "who"),
    [
        ([lost(1, (REDDISH,)), lost(2, (BLUE,))], 1),
        ([lost(1, (BLUE,))], None),
        ([lost(1, (REDDISH,)), lost(2, (REDDISH,))], None),  # two look like it
        ([lost(1, (REDDISH,), seen_s=50.0)], None),  # seen parked since the other began
        ([lost(1, (REDDISH,), seen_s=50.0, status="hidden")], 1),
        ([lost(1, (REDDISH,), seen_s=59.9, status="hidden", x=10.0)], None),  # nobody drives 67 m in that
        ([lost(1, (REDDISH,), has_entered=False)], None),  # it has no stay
        ([lost(1, (REDDISH,)), lost(2, (RED,), has_entered=False)], None),  # one that has no stay looks more like it
        ([lost(1, (REDDISH,), status="left")], None),
    ],
)
def test_who_leaves_and_never_came_in_is_the_lost_one_that_it_looks_like(lot, tracks, who):
    found = recognized(leaving(), tracks, Scene(lot, DEFAULTS), LEFT_AT, PRIOR_NATS)
    assert (None if found.lost is None else found.lost.id) == who
    assert (found.certainty < 1.0) == (who is not None)


def test_whom_a_camera_saw_beside_it_it_is_not(lot):
    parked, leaver = lost(1, (REDDISH,)), leaving()
    leaver.apart = {1: Apart(20, T0 + 50 * SECOND)}
    assert recognized(leaver, [parked], Scene(lot, DEFAULTS), LEFT_AT, PRIOR_NATS).lost is None


def test_who_was_seen_long_before_the_lost_one_came_in_is_not_it(lot):
    leaver = leaving()
    leaver.known_at = T0 - 600 * SECOND
    hidden = lost(1, (REDDISH,), seen_s=30.0, status="hidden")
    assert recognized(leaver, [hidden], Scene(lot, DEFAULTS), LEFT_AT, PRIOR_NATS).lost is None


@pytest.mark.parametrize(("views", "is_sure"), [((REDDISH,), True), ((BLUE,), False), ((BLUE, REDDISH), True), ((), True)])
def test_who_leaves_under_a_name_and_does_not_look_like_who_came_in_is_doubted(lot, views, is_sure):
    leaver = track(9, (RED, *views), has_entered=True)
    assert (recognized(leaver, [], Scene(lot, DEFAULTS), LEFT_AT, PRIOR_NATS).certainty == 1.0) == is_sure


def test_who_leaves_is_the_one_that_came_in_after_its_exit_is_told_by_its_own_name(lot):
    leaver = leaving()
    leaver.trail = (TrailPoint(T0 + 59 * SECOND, 77.0, 3.0), TrailPoint(LEFT_AT, 78.0, 3.0))
    leaver.motion = born(LEFT_AT, 78.0, 3.0, (0.1, 0.0, 0.1), 1.0)
    leaver.motion = type(leaver.motion)(LEFT_AT, 78.0, 3.0, 3.0, 0.0, leaver.motion.p)
    gone = lost(1, (REDDISH,))
    state = FusionState(n_tracks=9, tracks={1: gone, 9: leaver}, looked_at={"right": LEFT_AT + 3 * SECOND})
    emission = Emission("lot", "2", 1, lambda _: [])
    step = Step(state, Scene(lot, DEFAULTS), emission)
    step.expire(LEFT_AT + 3 * SECOND)
    told = [fact.payload for fact in emission.facts]
    merged = next(one for one in told if isinstance(one, IdentitiesMerged))
    crossed = next(one for one in told if isinstance(one, PortalCrossed))
    assert (merged.vehicle, merged.merged) == ("v1", "v9")
    assert (crossed.vehicle, crossed.direction, crossed.flags) == ("v9", "out", ("ambiguous_identity",))
    assert told.index(crossed) < told.index(merged)
    assert next(one.vehicle for one in told if isinstance(one, VehicleLeft)) == "v1"
    assert 1 not in step.finished().tracks
