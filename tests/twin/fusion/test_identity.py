"""Who comes up again: a parked vehicle whose place is taken by a new track is that track."""

import pytest

from twin.events.ids import SECOND
from twin.fusion.identity import reappeared
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.state import Apart, FusionState, Track

T0 = 1_767_268_800_000_000


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
def test_what_comes_up_where_a_parked_vehicle_was_last_seen_is_it(away, seen_s, absence, is_it):
    parked = track(1, 0.0, seen_at=T0 + round(seen_s * SECOND), vehicle="v")
    parked.absence = absence
    newborn = track(2, away, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 12 * SECOND)
    found = reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), DEFAULTS)
    assert (found is not None) == is_it


def test_who_was_seen_beside_the_parked_vehicle_is_not_it():
    parked = track(1, 0.0, seen_at=T0 + 10 * SECOND, vehicle="v")
    newborn = track(2, 1.0, status="moving", born_at=T0 + 10 * SECOND, seen_at=T0 + 12 * SECOND)
    newborn.apart = {1: Apart(20, T0 + 11 * SECOND)}
    assert reappeared(newborn, FusionState(tracks={1: parked, 2: newborn}), DEFAULTS) is None
