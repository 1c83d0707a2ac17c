import importlib.util

import pytest
from typer.testing import CliRunner

from perception.cli import app
from twin.errors import MissingExtra

ARGUMENTS = ["train", "detector", "--frames", "none", "--heldout", "none", "--out", "none"]


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here")
def test_without_torch_the_extra_is_named():
    with pytest.raises(MissingExtra, match=r"training needs torch.*spatial-twin\[train\]"):
        CliRunner().invoke(app, ARGUMENTS, catch_exceptions=False)


def test_measuring_needs_no_torch(colour_detector, painted_frames):
    told = CliRunner().invoke(
        app,
        ["train", "measure", "--model", str(colour_detector()), "--heldout", str(painted_frames(2))],
        catch_exceptions=False,
    )
    assert told.exit_code == 0
    assert '"frames": 2' in told.stdout
