"""What the packaged weights are made of is never what they are scored on."""

from __future__ import annotations

from ops import search_weights
from perception.clips import read_manifest
from site_models.load import resolve

TRACKING_IS_SCORED_ON = {21, 22, 23}


def test_clips_to_learn_from_are_of_other_seeds_than_those_that_are_scored():
    packaged = read_manifest(resolve(search_weights.FILMED_SITE) / "clips")
    assert not {packaged.seed, *TRACKING_IS_SCORED_ON} & set(search_weights.FILMED)


def test_sites_to_learn_from_are_none_of_those_that_are_held_out():
    assert max(search_weights.SIMULATED) < 601


def test_what_was_made_already_is_used_again(tmp_path):
    for name in ("simulated-501", "clips-31-embedder"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "visits.parquet").write_bytes(b"")
    assert search_weights.simulated(tmp_path, 501) == tmp_path / "simulated-501"
    assert search_weights.looked_at(tmp_path, tmp_path / "clips-31") == tmp_path / "clips-31-embedder"
    assert list((tmp_path / "simulated-501").iterdir()) == [tmp_path / "simulated-501" / "visits.parquet"]
