"""Two vehicles that are followed, and a person says that they are one."""

from twin.events.facts import IdentitiesMerged, StallChanged
from twin.events.ids import SECOND
from twin.fusion.emission import Emission
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import DecidedMerge, FusionState, StallBelief, Track
from twin.fusion.step import Step, with_merge

T0 = 1_767_268_800 * SECOND


def parked(number, x, stall):
    return Track(
        id=number,
        level="ground",
        status="parked",
        motion=born(T0, x, 8.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(0.0, 1.0),
        born_at=T0 - 9 * SECOND,
        first_m=(x, 8.0),
        is_inner_birth=False,
        hits=90,
        seen_at=T0,
        seen_by="left",
        vehicle=f"v{number}",
        stall=stall,
    )


def test_who_was_parked_in_two_stalls_is_in_one_at_once(lot):
    tracks = {1: parked(1, 7.5, "s1"), 2: parked(2, 10.0, "s2")}
    stalls = {"s1": StallBelief("occupied", "v1"), "s2": StallBelief("occupied", "v2")}
    state = with_merge(FusionState(n_tracks=2, tracks=tracks, stalls=stalls), DecidedMerge(T0, "v1", "v2", "d"))
    emission = Emission("lot", "2", 1, lambda _: [])
    step = Step(state, Scene(lot, DEFAULTS), emission)
    step.expire(T0 + SECOND)
    told = [fact.payload for fact in emission.facts if isinstance(fact.payload, IdentitiesMerged | StallChanged)]
    assert told[0].merged == "v2"
    assert [(one.stall, one.state, one.vehicle) for one in told[1:]] == [("s2", "free", None)]
    left = step.finished().stalls
    assert (left["s1"].state, left["s1"].vehicle, left["s2"].state, left["s2"].holder) == ("occupied", "v1", "free", None)
