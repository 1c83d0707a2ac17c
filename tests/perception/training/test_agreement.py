import numpy as np
import pytest
from typer.testing import CliRunner

from perception.cli import app
from perception.training.agreement import n_pairs


def test_pairs_are_one_to_one_and_as_many_as_can_be():
    ours = np.array([(0, 0, 10, 10), (0, 4, 10, 14)], np.float32)
    theirs = np.array([(0, 2, 10, 12), (0, -3, 10, 7)], np.float32)
    # the first of ours overlaps both of theirs enough, the second only the first: greedy might make one pair
    assert n_pairs(ours, theirs, 0.5) == 2
    assert n_pairs(ours, theirs[:1], 0.5) == 1
    assert n_pairs(ours, theirs[:0], 0.5) == 0
    assert n_pairs(ours, theirs + 100, 0.5) == 0


def test_a_detector_agrees_with_itself(colour_detector, drive, write_video, tmp_path):
    import json

    model, video = str(colour_detector()), write_video(tmp_path / "clip.mp4", drive(6))
    told = CliRunner().invoke(
        app,
        ["train", "agree", "--model", model, "--reference", model, "--video", str(video), "--every", "2"],
        catch_exceptions=False,
    )
    found = json.loads(told.stdout)
    assert (found["frames"], found["missed"], found["extra"]) == (3, 0, 0)
    assert found["matched"] == pytest.approx(3)
