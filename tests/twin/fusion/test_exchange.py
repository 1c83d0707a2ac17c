"""Two tracks that follow each other's vehicles exchange their names, when looks say so."""

import math
from copy import copy

import pytest
from msgspec.structs import replace
from tracks import view

from twin.events.facts import IdentitiesMerged, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import SECOND
from twin.events.observations import DetectedBox
from twin.fusion.appearance import PRIOR_NATS
from twin.fusion.emission import Emission
from twin.fusion.exchange import exchanged
from twin.fusion.leaving import recognized
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingLook
from twin.fusion.place import CLEAR, looked
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackletLink, TrailPoint
from twin.fusion.step import Step
from twin.fusion.views import embed

T0 = 1_767_268_800_000_000
NOW = T0 + 60 * SECOND


RED, BLUE, GREEN, REDDISH, BLUISH = view(1.0), view(0.0, 1.0), view(0.0, 0.0, 1.0), view(0.9), view(0.0, 0.9)


def track(number, gallery, strange=(), *, status="moving", seen_s=60.0, x=30.0, born_s=0.0, has_entered=True):
    at = T0 + round(seen_s * SECOND)
    return Track(
        id=number,
        level="ground",
        status=status,
        motion=born(at, x, 3.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0 + round(born_s * SECOND),
        first_m=(x, 3.0),
        is_inner_birth=True,
        hits=90,
        seen_at=at,
        seen_by="right",
        vehicle=f"v{number}",
        gallery=gallery,
        strange=strange,
        has_entered=has_entered,
    )


def state_of(*tracks):
    return FusionState(n_tracks=9, tracks={one.id: one for one in tracks})


@pytest.mark.parametrize(
    ("tracks", "pairs"),
    [
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,), (REDDISH,))], [(1, 2)]),  # each looks like the other
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,))], []),  # it is seen, and nothing is strange about it
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,), status="hidden", seen_s=50.0)], [(1, 2)]),
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,), status="parked", seen_s=57.0)], [(1, 2)]),
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,), status="hidden", seen_s=59.0, x=-30.0)], []),  # too far off
        ([track(1, (RED,), (BLUISH,)), track(2, (BLUE,), status="left", seen_s=50.0)], []),
        ([track(1, (RED,), (GREEN,)), track(2, (BLUE,), status="hidden", seen_s=50.0)], []),  # it is nobody who is known
        ([track(1, (RED,), (BLUISH,), seen_s=50.0), track(2, (BLUE,), status="hidden", seen_s=50.0)], []),
    ],
)
def test_who_follows_another_is_told_by_looks(lot, tracks, pairs):
    assert [(one.id, other.id) for one, other in exchanged(state_of(*tracks), Scene(lot, DEFAULTS), NOW)] == pairs


def test_one_of_two_that_look_the_same_is_not_chosen(lot):
    tracks = [track(1, (RED,), (BLUISH,)), *(track(n, (BLUE,), status="hidden", seen_s=50.0) for n in (2, 3))]
    assert exchanged(state_of(*tracks), Scene(lot, DEFAULTS), NOW) == []


@pytest.mark.parametrize(
    ("seen_s", "views", "pairs"),
    [
        (60.0, (REDDISH,), []),  # another camera shows it as it always was: the strange view was of a box beside it
        (60.0, (REDDISH, BLUISH), [(1, 2)]),  # the tracklet that went over to the other one itself
        (60.0, (), [(1, 2)]),
        (50.0, (REDDISH,), [(1, 2)]),  # that was before
    ],
)
def test_one_strange_view_of_who_another_tracklet_shows_as_itself_exchanges_nothing(lot, seen_s, views, pairs):
    hidden = track(2, (BLUE,), status="hidden", seen_s=50.0)
    box = DetectedBox(tracklet="t", kind="car", score=0.9, box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    link = TrackletLink(1, "left", box, (30.0, 3.0), (0.1, 0.0, 0.1), T0 + round(seen_s * SECOND))
    state = replace(state_of(track(1, (RED,), (BLUISH,)), hidden), tracklets={"left": {"t": link}}, views={"t": views})
    assert [(one.id, other.id) for one, other in exchanged(state, Scene(lot, DEFAULTS), NOW)] == pairs


def stepped(lot, *tracks):
    emission = Emission("lot", "2", 1, lambda _: [])
    step = Step(state_of(*tracks), Scene(lot, DEFAULTS), emission)
    step._identities.unite(NOW)
    return step.finished().tracks, [fact.payload for fact in emission.facts]


def test_names_change_places_and_both_are_in_doubt(lot):
    hidden = track(2, (BLUE,), status="hidden", seen_s=50.0, x=20.0, has_entered=False)
    tracks, told = stepped(lot, track(1, (RED,), (BLUISH,)), hidden)
    assert {name: (one.vehicle, one.has_entered) for name, one in tracks.items()} == {1: ("v2", False), 2: ("v1", True)}
    assert {one.motion.x for one in tracks.values()} == {20.0, 30.0}, "nothing has moved"
    assert all(one.flags == ("ambiguous_identity",) and not one.strange for one in tracks.values())
    assert tracks[1].gallery == (BLUE, BLUISH)
    assert {type(one): one.vehicle for one in told} == {VehicleMoved: "v2", VehicleHidden: "v1"}
    assert stepped(lot, *tracks.values())[1] == [], "once is enough"


def test_a_stall_follows_the_name(lot):
    parked = track(2, (BLUE,), (REDDISH,), status="parked", x=22.0)
    _, told = stepped(lot, track(1, (RED,), (BLUISH,)), parked)
    assert next(one for one in told if isinstance(one, VehicleParked)).vehicle == "v1"


def test_a_vehicle_that_comes_up_where_a_neighbours_boxes_took_a_parked_one_from_is_that_one(lot):
    slid = track(1, (RED,), status="parked", x=25.0)
    slid.stood, slid.looks = TrailPoint(T0 + 40 * SECOND, 22.0, 3.0), {"right": looked_at(25.0)}
    behind = track(3, (RED,), status="parked", x=22.0, born_s=41.0, has_entered=False)
    behind.looks = {"right": looked_at(22.0)}
    before = copy(slid)
    tracks, told = stepped(lot, slid, behind)
    assert slid == before, "a state that is kept is never changed by a step"
    assert {name: one.vehicle for name, one in tracks.items()} == {3: "v1"}
    assert next(one for one in told if isinstance(one, IdentitiesMerged)).merged == "v3"
    behind.gallery = (BLUE,)
    assert set(stepped(lot, slid, behind)[0]) == {1, 3}, "it does not look like it"


def looked_at(x):
    return looked(None, T0, (x, 3.0), (0.1, 0.0, 0.1), CLEAR, (0.0, 0.0, 9.0, 9.0))


def embedded(lot, gallery, look, vehicle="v1", heading=(0.0, 0.0)):
    one = replace(track(1, gallery), heading=heading)
    one.vehicle = vehicle
    link = TrackletLink(1, "right", None, (30.0, 3.0), (0.1, 0.0, 0.1), NOW)
    state = FusionState(tracks={1: one}, tracklets={"right": {"t": link}})
    emission = Emission("lot", "2", 1, lambda _: [])
    return embed(state, [PendingLook(NOW, "right", 1, 1, "t", look.embedding)], Scene(lot, DEFAULTS), emission).tracks[1]


def test_a_view_that_is_not_of_the_vehicle_is_kept_apart_until_one_is(lot):
    strange = embedded(lot, (RED,), BLUE)
    assert (strange.gallery, strange.strange) == ((RED,), (BLUE,))
    assert embedded(lot, (RED,), REDDISH).gallery == (RED, REDDISH)
    assert embedded(lot, (), BLUE).gallery == (BLUE,)
    assert embedded(lot, (RED,), BLUE, vehicle=None).gallery == (RED, BLUE), "it is nobody yet"


def test_a_view_is_of_the_side_that_its_camera_looks_at(lot):
    x, y = Scene(lot, DEFAULTS).camera("right", NOW, ())[0].origin_m
    away_m = math.hypot(x - 30.0, y - 3.0)
    ahead = (x - 30.0) / away_m, (y - 3.0) / away_m
    assert [one.octant for one in embedded(lot, (), RED, heading=ahead).gallery] == [0]
    assert [one.octant for one in embedded(lot, (), RED, heading=(-ahead[0], -ahead[1])).gallery] == [4]


def test_who_leaves_looking_like_nobody_is_doubted(lot):
    leaver = track(9, (RED, REDDISH), (GREEN,), x=77.0)
    assert recognized(leaver, [], Scene(lot, DEFAULTS), NOW, PRIOR_NATS).certainty < 0.9
    leaver.strange = ()
    assert recognized(leaver, [], Scene(lot, DEFAULTS), NOW, PRIOR_NATS).certainty == 1.0
