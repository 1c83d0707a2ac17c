"""When a vehicle that stands is parked: sooner in a stall, and later where it is only on its way out of one."""

import pytest
from tracks import car

from twin.events.ids import SECOND
from twin.fusion.emission import Emission, unanswered
from twin.fusion.parameters import DEFAULTS
from twin.fusion.parking import Parking
from twin.fusion.place import CLEAR, Look
from twin.fusion.scene import Scene
from twin.fusion.state import TrailPoint
from twin.fusion.telling import Telling

T0 = 1_767_268_800 * SECOND
X, Y = 7.5, 8.5  # the middle of s1


def settled(lot, y, *, stood_y, stands_s, stood_s=20):
    """Whether one that left a place in s1 some seconds ago, and stands at another one, is parked there."""
    scene = Scene(lot, DEFAULTS)
    at = T0 - round(stands_s * SECOND)
    looks = {"right": Look(9, T0, X, y, (0.02, 0.0, 0.02), CLEAR, (0.0, 0.0, 1.0, 1.0))}
    stood = None if stood_y is None else TrailPoint(T0 - stood_s * SECOND, X, stood_y)
    track = car(1, T0, X, y, still=TrailPoint(at, X, y), looks=looks, stood=stood)
    assert scene.map.stall_at("ground", X, y) == "s1"
    Parking(scene, Telling(scene, Emission("lot", "2", 1, unanswered), {}), {}).settle(track)
    return track.status == "parked"


@pytest.mark.parametrize(
    ("y", "stood_y", "stands_s", "is_parked"),
    [
        (Y, None, 3, True),
        (Y - 2.0, None, 3, True),  # it never stood farther in
        (Y - 2.0, Y, 3, False),
        (Y - 2.0, Y, 31, True),  # whatever it waits for
        (Y - 0.6, Y, 3, True),  # as far as looks are off
        (Y, Y - 1.5, 3, True),  # farther in than before
    ],
)
def test_who_halts_half_out_of_its_stall_waits_and_is_not_parked_there(lot, y, stood_y, stands_s, is_parked):
    assert settled(lot, y, stood_y=stood_y, stands_s=stands_s) == is_parked


def test_who_left_its_stall_a_while_ago_may_park_in_it_anyhow(lot):
    assert settled(lot, Y - 2.0, stood_y=Y, stood_s=90, stands_s=3)
