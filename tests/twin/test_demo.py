import pytest

from twin.demo import Simulated, edge_words, run_demo
from twin.errors import BadInput
from twin.settings import Settings


def test_a_site_without_clips_is_told_of_the_demo_that_needs_none(tmp_path):
    with pytest.raises(BadInput, match=r"no clips at .*motorway.*twin demo --simulated"):
        run_demo(Settings(data_dir=tmp_path / "data"), site="motorway", simulated=None, seconds=1, say=lambda _: None)
    assert not (tmp_path / "data").exists()


def test_the_demo_does_not_start_where_keys_are_asked_for(tmp_path):
    with pytest.raises(BadInput, match="unset TWIN_ACCESS"):
        run_demo(Settings(data_dir=tmp_path, access="keys"), site="demo_lot", simulated=None, seconds=1, say=print)


def test_the_demos_cameras_send_their_pictures_and_simulated_ones_have_none(tmp_path):
    words = edge_words("demo_lot", None, "http://here", tmp_path)
    assert "--pictures" in words
    assert words[-4:] == ["--log", "http://here", "--spool", str(tmp_path)]
    assert "--pictures" not in edge_words("demo_lot", Simulated(1, "clean"), "http://here", tmp_path)
