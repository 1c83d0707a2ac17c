"""``twin calibrate``: from a file of marks to a site's cameras.toml, or to a service."""

import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from typer.testing import CliRunner

from site_models.load import PACKAGED, load_site
from twin.cli import app
from twin.errors import BadInput, NotFound
from twin.marks_file import read_marks
from twin.spatial.camera import GroundCamera

DEMO = load_site(PACKAGED / "demo_lot")
CAMERA = GroundCamera.of(next(one for one in DEMO.cameras if one.id == "aisle-2"), DEMO.levels[0])
PIXELS = np.array([[60, 520], [900, 500], [480, 400], [200, 260], [760, 240], [120, 200], [500, 185], [880, 205]], dtype=float)


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "demo_lot"
    shutil.copytree(PACKAGED / "demo_lot", folder, ignore=shutil.ignore_patterns("clips"))
    return folder


@pytest.fixture
def marks(tmp_path):
    """A file of pairs as the page saves it."""
    ground = CAMERA.to_ground(PIXELS, np.ones_like(PIXELS)).points_m
    pairs = [{"pixel_px": list(px), "ground_m": list(m)} for px, m in zip(PIXELS.tolist(), ground.tolist(), strict=True)]
    path = tmp_path / "marks.json"
    path.write_text(json.dumps({"schema": "twin.marks/1", "frame_px": [960, 540], "pairs": pairs}))
    return path


def run(*words):
    done = CliRunner().invoke(app, ["calibrate", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_residuals_and_what_to_mistrust_are_told(site, marks):
    done = run("--site", site, "--camera", "aisle-2", "--pairs", marks)
    assert done.exit_code == 0
    assert "lens and pose from 8 pairs and 0 lines" in done.output
    assert "root mean square: 0.0" in done.output
    assert "note: 8 points say little of how the lens bends" in done.output


def test_what_is_written_is_a_sound_site_with_the_camera_where_it_is(site, marks, tmp_path):
    before = (site / "cameras.toml").read_text()
    out = tmp_path / "o.json"
    done = run("--site", site, "--camera", "aisle-2", "--pairs", marks, "--lens", "keep", "--write", "--out", out)
    assert done.exit_code == 0
    assert (site / "cameras.toml").read_text() != before
    written = {one.id: one for one in load_site(site).cameras}
    assert written["aisle-2"].geometry.position_m == pytest.approx(CAMERA.geometry.position_m, abs=0.01)
    assert {name: one for name, one in written.items() if name != "aisle-2"} == {
        one.id: one for one in DEMO.cameras if one.id != "aisle-2"
    }
    assert json.loads(out.read_text())["calibration"]["rms_px"] < 0.1


def test_a_camera_that_the_site_does_not_have_is_added(site, marks):
    assert run("--site", site, "--camera", "mine", "--pairs", marks, "--write").exit_code == 0
    assert {one.id for one in load_site(site).cameras} == {*(one.id for one in DEMO.cameras), "mine"}


def test_tables_of_commas_are_taken_too(site, marks, tmp_path):
    pairs = json.loads(marks.read_text())["pairs"]
    rows = [",".join(map(str, (*one["pixel_px"], *one["ground_m"]))) for one in pairs]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(["pixel_x,pixel_y,ground_x_m,ground_y_m", *rows]))
    lines = tmp_path / "lines.csv"
    lines.write_text("line,pixel_x,pixel_y\nkerb,1,2\nkerb,3,4\nkerb,5,6.1\n")
    assert read_marks(table).given() == read_marks(marks).given()
    assert read_marks(table, lines).lines_px == (((1.0, 2.0), (3.0, 4.0), (5.0, 6.1)),)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "x,y\n1,2\n", "no column pixel_x"),
        ("p.csv", "\ufeffpixel_x,pixel_y,ground_x_m,ground_y_m\n1,2,3,near\n", "line 2: ground_y_m is 'near'"),
        ("p.csv", "pixel_x,pixel_y,ground_x_m,ground_y_m\n1,2,3,near\n", "line 2: ground_y_m is 'near'"),
        ("p.json", "{", "is not JSON"),
        ("p.json", '{"pairs": [{"pixel_px": [1], "ground_m": [1, 2]}]}', "pixel_px"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_place(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        read_marks(path)


def test_three_pairs_end_with_1_and_say_so(site, marks):
    few = json.loads(marks.read_text())
    few["pairs"] = few["pairs"][:3]
    marks.write_text(json.dumps(few))
    done = run("--site", site, "--camera", "aisle-2", "--pairs", marks, "--write")
    assert done.exit_code == 1
    assert "needs at least 4" in done.output


def test_marks_of_another_picture_size_are_refused(site, marks):
    other = {**json.loads(marks.read_text()), "frame_px": [1920, 1080]}
    marks.write_text(json.dumps(other))
    with pytest.raises(BadInput, match="mark them in its own"):
        run("--site", site, "--camera", "aisle-2", "--pairs", marks)


def test_an_unknown_camera_without_a_frame_size_is_told(site, marks):
    other = json.loads(marks.read_text())
    del other["frame_px"]
    marks.write_text(json.dumps(other))
    with pytest.raises(NotFound, match="no camera 'mine'"):
        run("--site", site, "--camera", "mine", "--pairs", marks)


def test_it_is_sent_to_a_service_once_however_often(site, marks):
    words = ["--site", site, "--camera", "aisle-2", "--pairs", marks, "--at", "2026-01-01T09:00:00Z"]
    with pytest.raises(BadInput, match="needs --at"):
        run(*words[:-2], "--log", "http://127.0.0.1:1")
    with pytest.raises(BadInput, match="cannot be reached"):
        run(*words, "--log", "http://127.0.0.1:1")
    with noting() as (url, bodies):
        for _ in range(2):
            assert run(*words, "--log", url).exit_code == 0
    assert bodies[0] == bodies[1]
    path, body = bodies[0]
    assert path == "/v1/sites/demo_lot/cameras/aisle-2/calibration"
    assert len(body["pairs"]) == 8


@contextmanager
def noting():
    """A server that stores all it is sent: its address, and what came."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            told = b'{"outcome": "stored", "position": "1"}'
            self.send_response(200)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()
