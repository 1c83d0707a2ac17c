"""Of two vehicles side by side, each seen by a camera of its own, places alone do not tell; looks do."""

import pytest
from tracks import car, view

from twin.events.ids import SECOND
from twin.fusion.emission import Emission
from twin.fusion.parameters import DEFAULTS
from twin.fusion.place import CLEAR, Look
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState
from twin.fusion.step import Step
from twin.fusion.trails import extend_trail

T0 = 1_767_268_800_000_000
RED, BLUE = view(1.0), view(0.0, 1.0)
UNSURE = (3.0, 0.0, 3.0)  # of one camera's look at what it sees from afar


def look(x, y):
    return Look(30, T0, x, y, UNSURE, CLEAR, (0.0, 0.0, 9.0, 9.0))


def vehicles_after(lot, away, gallery):
    """The names that are known once a track that stands ``away`` metres beside a parked red vehicle is confirmed."""
    parked = car(1, T0, 40.0, 8.0, status="parked", looks={"left": look(40.0, 8.0)}, gallery=(RED,), has_entered=True)
    ripe = car(
        2, T0, 40.0 + away, 8.0, status="tentative", vehicle=None, looks={"right": look(40.0 + away, 8.0)}, gallery=gallery,
        born_at=T0 - 10 * SECOND, is_inner_birth=True,
    )  # fmt: skip
    step = Step(
        FusionState(n_tracks=2, tracks={1: parked, 2: ripe}), Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: [])
    )
    ripe = step._draft.mine(2)
    extend_trail(ripe)
    step._identities.confirm(ripe)
    return sorted(step.finished().tracks)


@pytest.mark.parametrize(
    ("away", "gallery", "left"),
    [
        (2.3, (RED,), [1]),  # two cameras' views of one vehicle
        (2.3, (), [1]),  # nobody saw how it looks
        (2.3, (BLUE,), [1, 2]),  # its neighbour, which stood there before
        (1.0, (BLUE,), [1]),  # there is no room for another
        (4.0, (RED,), [1, 2]),  # no camera is so wrong
    ],
)
def test_who_stands_beside_a_parked_vehicle_and_looks_unlike_it_is_another(lot, away, gallery, left):
    assert vehicles_after(lot, away, gallery) == left
