import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perception.cli import main
from perception.clips import ClipsManifest, write_manifest
from site_models.load import load_site, resolve
from twin.events.codec import from_json
from twin.events.observations import FrameObserved

SITE = load_site(resolve("motorway"))
CAMERA = SITE.cameras[0].id
RED = (0, 0, 255)


@pytest.fixture
def clip(tmp_path, paint, write_video) -> Path:
    size = SITE.cameras[0].frame_px
    box = [size[0] * 0.4, size[1] * 0.5]
    images = [paint(size, (RED, (box[0] + 6 * i, box[1], box[0] + 6 * i + 160, box[1] + 100))) for i in range(12)]
    return write_video(tmp_path / "clip.mp4", images)


@pytest.fixture
def perceive(monkeypatch, capsys):
    """``perceive("run", …)``: exit code, standard output, standard error."""

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["perceive", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return called


def run(perceive, clip, detector, *more):
    return perceive("run", "--site", "motorway", "--video", f"{CAMERA}={clip}", "--detector", detector, *more)


def test_a_run_writes_observations_and_prints_a_summary(perceive, clip, colour_detector, tmp_path):
    out = tmp_path / "out.jsonl.zst"
    code, printed, _ = run(perceive, clip, colour_detector(), "--out", out, "--json")
    summary = json.loads(printed)
    assert code == 0
    assert summary["schema"] == "twin.perceive/1"
    assert summary["site"] == "motorway"
    counts = summary["cameras"][CAMERA]
    assert (counts["frames"], counts["detections"], counts["tracklets"], counts["dropped"]) == (12, 12, 1, 0)
    assert counts["error"] is None
    assert counts["fps"] > 0
    assert summary["embedder"] == "colour-128@1"
    assert set(summary) == {
        *("schema", "site", "cameras", "detector", "embedder", "attributes", "plates", "runtime", "seconds", "delivery")
    }
    assert (summary["attributes"], summary["plates"]) == (None, None)


def test_a_site_may_be_given_as_a_folder(perceive, clip, colour_detector, tmp_path):
    folder = Path(sys.modules["site_models.load"].__file__).parent / "sites" / "motorway"
    arguments = ["--video", f"{CAMERA}={clip}", "--detector", colour_detector(), "--out", tmp_path / "o.jsonl"]
    assert perceive("run", "--site", folder, *arguments)[0] == 0


@pytest.mark.parametrize(("more", "n_frames"), [((), 12), (("--fps", 5), 5), (("--max-frames", 15), 15)])
def test_clips_are_played_into_a_file_once_or_as_long_as_asked_for(perceive, clip, colour_detector, tmp_path, more, n_frames):
    folder = tmp_path / "site"
    shutil.copytree(resolve("motorway"), folder, ignore=shutil.ignore_patterns("clips"))
    (folder / "clips").mkdir()
    clip.rename(folder / "clips" / "clip.mp4")
    manifest = ClipsManifest(
        site="motorway",
        seed=1,
        fps=12,
        duration_s=1,
        n_frames=12,
        hour="day",
        rain=0.0,
        truth="truth.parquet",
        visits="visits.parquet",
        boxes="boxes.parquet",
        files={str(CAMERA): "clip.mp4"},
    )
    write_manifest(folder / "clips", manifest)
    arguments = ["--detector", colour_detector(), "--out", tmp_path / "o.jsonl", "--json", *more]
    code, printed, _ = perceive("run", "--site", folder, "--clips", *arguments)
    assert code == 0
    assert json.loads(printed)["cameras"][CAMERA]["frames"] == n_frames


def test_a_broken_off_video_is_used_then_told_with_exit_code_1(perceive, clip, colour_detector, tmp_path):
    noise = np.random.default_rng(0)
    import av

    broken = tmp_path / "broken.mkv"
    with av.open(str(broken), mode="w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = SITE.cameras[0].frame_px
        stream.options = {"preset": "ultrafast"}
        for _ in range(10):
            image = noise.integers(0, 255, (stream.height, stream.width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    out = tmp_path / "out.jsonl"
    code, printed, errors = run(perceive, broken, colour_detector(), "--out", out, "--json")
    counts = json.loads(printed)["cameras"][CAMERA]
    assert code == 1
    assert 0 < counts["frames"] < 10
    assert counts["error"] in errors
    written = [from_json(line) for line in out.read_bytes().splitlines()]
    assert sum(isinstance(event.payload, FrameObserved) for event in written) == counts["frames"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--video": "nowhere=x.mp4"}, "has no camera 'nowhere'; it has"),
        ({"--video": "clip.mp4"}, "is not CAMERA=PATH"),
        ({"--video": f"{CAMERA}=/none.mp4"}, "does not exist"),
        ({"--video": f"{CAMERA}=rtsp://127.0.0.1:9/x", "--as-fast-as-possible": None}, "a stream comes in real time"),
        ({"--detector": "/none.onnx"}, "model file '/none.onnx' does not exist"),
        ({"--detector": None}, "add --detector MODEL"),
        ({"--embedder": "/none.onnx"}, "model file '/none.onnx' does not exist"),
        ({"--attributes": "/none.xml"}, "model file '/none.xml' does not exist"),
        ({"--plates": "/none.xml", "--plate-reader": "/none.onnx"}, "model file '/none.xml' does not exist"),
        ({"--plate-reader": "/none.onnx"}, "reads what --plates finds; give --plates FILE too"),
        ({"--out": None}, "give either --out FILE or --log URL"),
        ({"--out": "/no/such/folder/o.jsonl"}, "cannot be written"),
        ({"--start-at": "noon"}, "--start-at 'noon' is no time"),
        ({"--runtime": "tpu"}, "it is auto, openvino or onnxruntime"),
        ({"--site": "/no/such/site"}, "site"),
    ],
)
def test_wrong_arguments_are_one_clear_message_and_exit_code_1(change, message, perceive, clip, colour_detector, tmp_path):
    arguments = {
        "--site": "motorway",
        "--video": f"{CAMERA}={clip}",
        "--detector": colour_detector(),
        "--out": tmp_path / "out.jsonl",
    } | change
    flat: list[object] = []
    for name, value in arguments.items():
        if name.startswith("--as-fast"):
            flat.append(name)
        elif value is not None:
            flat += [name, value]
    code, _, errors = perceive("run", *flat)
    assert code == 1
    assert message in errors
    assert "Traceback" not in errors


def test_an_unreachable_stream_ends_with_exit_code_1(perceive, colour_detector, tmp_path):
    address = "rtsp://user:secret@127.0.0.1:9/live"
    code, printed, errors = run(perceive, address, colour_detector(), "--out", tmp_path / "o.jsonl", "--max-tries", 1, "--json")
    assert code == 1
    assert "gave no frame in 1 tries" in json.loads(printed)["cameras"][CAMERA]["error"]
    assert "secret" not in printed + errors


def test_without_a_service_a_run_ends_well_and_leaves_its_spool(perceive, clip, colour_detector, tmp_path):
    spool = tmp_path / "spool"
    more = ["--log", "http://127.0.0.1:9", "--spool", spool, "--drain-s", 0.1, "--as-fast-as-possible", "--json"]
    code, printed, errors = run(perceive, clip, colour_detector(), *more)
    delivery = json.loads(printed)["delivery"]
    assert code == 0
    assert delivery["spooled"] >= 12
    assert delivery["delivered"] == 0
    assert f"observations wait in '{spool}'" in errors
    assert perceive("send", "--log", "http://127.0.0.1:9", "--site", "motorway", "--spool", spool, "--drain-s", 0.1)[0] == 1
    assert perceive("send", "--log", "http://127.0.0.1:9", "--site", "motorway", "--spool", tmp_path / "none")[0] == 1


def test_an_interrupted_run_writes_what_it_saw(rtsp, paint, colour_detector, tmp_path):
    server = rtsp.RtspServer(
        [paint(SITE.cameras[0].frame_px, (RED, (500 + 5 * i, 300, 700 + 5 * i, 420))) for i in range(10)], 10
    )
    out = tmp_path / "out.jsonl"
    arguments = ["--video", f"{CAMERA}={server.url}", "--detector", str(colour_detector()), "--out", str(out), "--json"]
    child = subprocess.Popen(
        [sys.executable, "-m", "perception.cli", "run", "--site", "motorway", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stderr is not None
    child.stderr.readline()  # the first line of progress
    os.kill(child.pid, signal.SIGTERM)
    printed, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    n_frames = json.loads(printed)["cameras"][CAMERA]["frames"]
    assert n_frames > 0
    written = [from_json(line) for line in out.read_bytes().splitlines()]
    assert sum(isinstance(event.payload, FrameObserved) for event in written) == n_frames


def test_a_file_in_the_way_is_named(perceive, tmp_path):
    pytest.importorskip("panda3d", reason="the extra 'render' is not installed")
    (tmp_path / "file").write_text("")
    code, _, said = perceive("render", "frames", "--frames", 1, "--out", tmp_path / "file")
    assert code == 1
    assert f"perceive: cannot use '{tmp_path / 'file' / 'images'}': Not a directory" in said
