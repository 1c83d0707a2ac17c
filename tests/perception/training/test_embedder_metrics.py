import numpy as np
import pytest

from perception.synthetic.render.passes import CropLabel
from perception.training.crops_dataset import CropsDataset
from perception.training.embedder_metrics import Looks, interval_95, measure_embedder, pooled, rank


def _looks(vectors, vehicles, cameras=None, scenes=None):
    rows = np.array(vectors, float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    n = len(rows)
    return Looks(rows, np.array(vehicles), np.array(cameras or ["c"] * n), np.array(scenes or ["s"] * n))


def test_rank_counts_a_vehicle_once_by_its_best_entry():
    queries = _looks([(1, 0)], ["a"])
    gallery = _looks([(0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0, 1)], ["b", "b", "a", "a"])
    found = rank(queries, gallery, np.ones((1, 4), bool), set())
    assert (found.rank1, found.rank5, found.gallery) == (0.0, 1.0, 2.0)
    assert found.map == pytest.approx((1 / 3 + 2 / 4) / 2, abs=1e-4)


def test_what_may_not_be_compared_is_left_out_and_queries_without_a_right_answer_too():
    queries = _looks([(1, 0), (0, 1)], ["a", "z"])
    gallery = _looks([(1, 0), (0.9, 0.1)], ["b", "a"])
    found = rank(queries, gallery, np.array([[False, True], [True, True]]), {"a"})
    assert (found.n, found.rank1, found.rank1_lookalikes) == (1, 1.0, 1.0)
    assert rank(queries, gallery, np.zeros((2, 2), bool), set()) is None


def test_pooling_is_the_mean_of_a_tracklets_crops():
    crops = _looks([(1, 0), (0, 1), (1, 0)], ["a", "a", "b"])
    found = pooled(crops, ["t1", "t1", "t2"])
    assert found.vectors == pytest.approx(np.array([(0.5**0.5, 0.5**0.5), (1, 0)]))
    assert list(found.vehicles) == ["a", "b"]


def test_the_precision_of_several_entries_is_their_mean_over_the_whole_ranking():
    # b, a, a, b: the two of a stand at places 2 and 3, so (1/2 + 2/3) / 2; those of b at 1 and 4, so (1/1 + 2/4) / 2
    gallery = _looks([(0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0, 1)], ["b", "a", "a", "b"])
    found = rank(_looks([(1, 0), (1, 0)], ["a", "b"]), gallery, np.ones((2, 4), bool), {"b"})
    assert found.map == pytest.approx(((1 / 2 + 2 / 3) / 2 + (1 / 1 + 2 / 4) / 2) / 2, abs=1e-4)
    assert (found.rank1, found.rank1_lookalikes) == (0.5, 1.0)


def test_an_interval_holds_the_mean_and_knows_that_queries_of_a_vehicle_are_not_independent():
    values = np.repeat([0.0, 1.0], 200)
    alone = interval_95(values, [str(k) for k in range(400)])
    shared = interval_95(values, [str(k // 20) for k in range(400)])  # twenty vehicles with the same answer twenty times
    assert alone == pytest.approx((0.45, 0.55), abs=0.01)  # 1.96 * sqrt(0.25 / 400)
    assert shared == pytest.approx((0.28, 0.72), abs=0.05)  # 1.96 * sqrt(0.25 / 20)
    assert interval_95(np.ones(3), ["a", "b", "c"]) == (1.0, 1.0)


class _Oracle:
    """An embedder that reads the vehicle's number from the crop's first pixel."""

    id = "oracle@1"

    def embed(self, view):
        angle = 0.02 * float(view[0, 0, 0])
        return np.rint(127 * np.array([np.cos(angle), np.sin(angle)])).astype(np.int8).tobytes()


def _dataset(shown, makes="any"):
    """Two vehicles with the same look, seen by two cameras by day and by night; ``shown(vehicle, camera, light)``."""
    pictures, labels = [], []
    for light in ("day", "night"):
        for vehicle in ("g0-0", "g0-1"):
            for camera in ("c0", "c1"):
                pictures.append(np.full((128, 128, 3), shown(vehicle, camera, light), np.uint8))
                labels.append(
                    CropLabel(
                        row=len(labels),
                        vehicle=vehicle,
                        look="g0-0",
                        kind="car",
                        body="suv",
                        tracklet=f"{light}-{makes}/{camera}/{vehicle}",
                        camera=camera,
                        scene=f"s-{light}-{makes}",
                        light=light,
                        visible=1.0,
                        box_px=(0, 0, 128, 128),
                        makes=makes,
                    )
                )
    return CropsDataset(np.stack(pictures), tuple(labels), "0")


def test_who_embeds_the_identity_is_right_everywhere():
    found = measure_embedder(_Oracle(), _dataset(lambda vehicle, camera, light: 70 * int(vehicle[-1])))
    assert (found.vehicles, found.crops) == (2, 8)
    for one in (found.pooled, found.single, found.day_to_night, *found.pooled_by_light.values()):
        assert (one.rank1, one.map, one.gallery, one.rank1_lookalikes) == (1.0, 1.0, 2.0, 1.0)
    assert (found.pooled.n, found.day_to_night.n) == (8, 4)
    assert {light: one.n for light, one in found.pooled_by_light.items()} == {"day": 4, "night": 4}


def test_who_embeds_the_light_is_wrong_by_night_only_where_light_changes():
    # by night the two look swapped: within one light they are told apart, from day to night never
    def swapped(vehicle, camera, light):
        return 70 * (int(vehicle[-1]) ^ (light == "night"))

    found = measure_embedder(_Oracle(), _dataset(swapped))
    assert (found.pooled.rank1, found.day_to_night.rank1) == (1.0, 0.0)


def test_who_embeds_the_camera_is_no_better_than_the_order():
    found = measure_embedder(_Oracle(), _dataset(lambda vehicle, camera, light: 70 * int(camera[-1])))
    assert found.pooled.rank1 == found.single.rank1 == 0.5


def test_cameras_of_any_makes_are_measured_apart_from_those_of_one():
    right = _dataset(lambda vehicle, camera, light: 70 * int(vehicle[-1]), "one")
    wrong = _dataset(lambda vehicle, camera, light: 70 * (int(vehicle[-1]) ^ (camera == "c1")), "any")
    both = CropsDataset(np.concatenate((right.pictures, wrong.pictures)), (*right.labels, *wrong.labels), "0")
    found = measure_embedder(_Oracle(), both)
    assert (found.pooled.rank1, found.pooled.n, found.pooled_any_makes.rank1) == (1.0, 8, 0.0)
    assert (found.day_to_night.n, found.crops) == (4, 8)
    assert measure_embedder(_Oracle(), right).pooled_any_makes is None
    assert measure_embedder(_Oracle(), wrong).pooled == found.pooled_any_makes
