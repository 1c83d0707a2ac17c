"""The simulated plate reader."""

import numpy as np
import pytest
from msgspec.structs import replace

from perception.synthetic.plates import PlateReader
from perception.synthetic.profiles import DEFAULT
from perception.synthetic.run_files import write_run
from perception.synthetic.simulate import Simulation
from perception.synthetic.traffic import VehicleState
from perception.synthetic.vehicles import Vehicle
from perception.synthetic.views import View
from twin.errors import BadInput
from twin.events.ids import SECOND
from twin.events.observations import TrackletEmbedded

PLATE = "ABC-1234"


def seen(heading_deg=0.0, side_px=90.0, truncated=()):
    vehicle = Vehicle(id="one", body="hatchback", look=1, plate=PLATE, pace=1.0)
    state = VehicleState(
        vehicle=vehicle, level="g", x_m=20.0, y_m=0.0, heading_deg=heading_deg, speed_mps=1.0, stall=None, state="moving"
    )
    return View(state=state, box_px=(0.0, 0.0, side_px, side_px), truncated=truncated, nearness=0.0, behind_walls=0.0)


def all_read(view, share=1.0, eye_m=(0.0, 0.0)):
    found = [PlateReader(1, share).read(view, eye_m, "t", crop) for crop in range(2_000)]
    return [one for one in found if one is not None]


def test_a_tenth_of_the_characters_is_wrong_and_the_score_says_so():
    found = all_read(seen())
    assert len(found) == 2_000
    right = [one for one in found if one.text == "ABC1234"]
    assert len(right) / 2_000 == pytest.approx(0.9**7, abs=0.04)
    wrong = [one for one in found if one.text != "ABC1234"]
    assert np.mean([one.score for one in right]) > np.mean([one.score for one in wrong]) + 0.1
    assert all(0.3 <= one.score <= 0.99 for one in found)
    assert PlateReader(1, 1.0).read(seen(), (0.0, 0.0), "t", 5) == PlateReader(1, 1.0).read(seen(), (0.0, 0.0), "t", 5)


@pytest.mark.parametrize(
    ("view", "eye_m"),
    [
        (seen(heading_deg=90.0), (0.0, 0.0)),  # from its side
        (seen(side_px=40.0), (0.0, 0.0)),
        (seen(truncated=("left",)), (0.0, 0.0)),
        (seen(), None),
    ],
)
def test_what_does_not_show_a_plate_well_is_not_read(view, eye_m):
    assert all_read(view, eye_m=eye_m) == []
    assert len(all_read(seen(heading_deg=170.0))) == 2_000, "from behind it is"


def test_the_stated_share_is_read_and_nothing_without():
    assert len(all_read(seen(), share=0.3)) / 2_000 == pytest.approx(0.3, abs=0.04)
    assert all_read(seen(), share=0.0) == []


def test_a_run_has_plates_where_they_are_asked_for_and_is_the_same_otherwise(lot, start_at, tmp_path):
    def looks(share):
        events = Simulation(lot, 3, replace(DEFAULT, plates=share), start_at).events(start_at + 40 * SECOND)
        return [event.payload for _, event in events if isinstance(event.payload, TrackletEmbedded)]

    without, some = looks(0.0), looks(1.0)
    assert all(one.personal.plate is None for one in without)
    assert any(one.personal.plate is not None for one in some)
    assert [replace(one, personal=replace(one.personal, plate=None)) for one in some] == without
    with pytest.raises(BadInput, match=r"1\.5"):
        write_run(lot, "clean", 1, 0.01, tmp_path, start_at, plates=1.5)
