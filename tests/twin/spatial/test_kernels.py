"""Kernels: the same bits as what they stand for, compiled or not; and nothing that their kept machine code would not follow."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import twin
from site_models.load import load_site
from site_models.schema import GroundHomography, Pinhole
from twin.evaluation.event_files import read_observations
from twin.evaluation.offline import FuseSummary, fuse
from twin.events.codec import to_json
from twin.events.observations import DetectedBox
from twin.rules.fold import Fold
from twin.spatial import footprint, placement
from twin.spatial.camera import GroundCamera
from twin.spatial.compiled import IS_COMPILED

GOLDEN = Path(__file__).parents[2] / "golden"
PINHOLE = Pinhole(
    k=(700.0, 710.0, 470.0, 265.0),
    position_m=(1.0, -2.0, 5.0),
    rotation=(1.0, 0.0, 0.0, 0.0, -0.28, -0.96, 0.0, 0.96, -0.28),
    distortion=(-0.22, 0.05, 0.001, -0.002, 0.01),
)
PLANE = GroundHomography(matrix=(0.02, 0.001, -9.0, 0.0, -0.03, 30.0, 0.00001, 0.0012, 0.1))


def drawn(rng):
    """A frame's boxes, with headings; a third of these are not known."""
    boxes, headings = [], []
    for n in range(rng.integers(1, 14)):
        x, y, angle = rng.uniform(0, 900), rng.uniform(50, 500), rng.uniform(0, 7)
        width, height = rng.uniform(10, 200, 2)
        box = DetectedBox(
            tracklet=f"t{n}",
            kind=("car", "van", "bus")[rng.integers(3)],
            score=0.9,
            box_px=(x, y - height, x + width, y),
            box_sigma_px=(1.5, 2.0),
            truncated=tuple(edge for edge in ("left", "right", "bottom", "top") if rng.random() < 0.15),
        )
        boxes.append(box)
        headings.append((float(np.cos(angle)), float(np.sin(angle))) if rng.random() < 0.7 else (0.0, 0.0))
    return boxes, headings


@pytest.mark.parametrize("geometry", [PINHOLE, PLANE])
def test_boxes_are_placed_to_the_bits_of_the_columns(geometry):
    camera, rng, n_valid = GroundCamera(geometry, (960, 540), 0.3, 0.2, 40.0), np.random.default_rng(1), 0
    for _ in range(60):
        boxes, headings = drawn(rng)
        some = placement.covered(boxes[:5], boxes[5:])
        assert some.tolist() == footprint.covered(boxes[:5], boxes).tolist()
        is_covered = placement.covered(boxes, [])
        whole = footprint.centres(camera, boxes, np.array(headings), is_covered)
        places = np.array(placement.placed(camera, boxes, headings, is_covered))
        valid = whole.is_valid
        assert (places[:, 5] == valid).all()
        assert (places[valid, :2] == whole.points_m[valid]).all()
        assert (places[valid, 2:5] == whole.covariance_m2[valid]).all()
        n_valid += valid.sum()
    assert n_valid > 100


WITHOUT = """
import sys
sys.modules["numba"] = None
sys.path.insert(0, sys.argv[1])
from test_kernels import IS_COMPILED, facts_digest
print(IS_COMPILED, facts_digest())
"""


def facts_digest():
    """Of what this fold makes of the first golden run's observations."""
    release = sorted(GOLDEN.glob("v*"))[0]
    facts = fuse(Fold(load_site(release / "site")), read_observations(release / "observations.jsonl.zst"), FuseSummary())
    return hashlib.sha256(b"".join(to_json(fact.event) for fact in facts)).hexdigest()


@pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed: every test runs the kernels as they are written")
def test_without_numba_the_facts_are_the_same():
    here = str(Path(__file__).parent)
    plain = subprocess.run([sys.executable, "-c", WITHOUT, here], check=True, timeout=200, capture_output=True, text=True)
    assert plain.stdout.split() == ["False", facts_digest()]


def kernels():
    for path in sorted(Path(twin.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(one) == "compiled" for one in node.decorator_list):
                yield path, tree, node


def test_what_a_kernel_uses_stands_in_its_file():
    # Machine code is kept by the time and size of that file: of a change elsewhere it would not know.
    found = [*kernels()]
    assert len(found) > 10
    for path, tree, kernel in found:
        imported = {
            alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        used = {node.id for part in kernel.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        assert not used & imported, f"{path.name}: {kernel.name} uses {sorted(used & imported)} of another file"
