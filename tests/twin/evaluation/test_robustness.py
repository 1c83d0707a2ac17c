"""What is left when things are worse: degradations by hand, and the report on seconds of a tiny run and of the demo's clips."""

import json

import pytest
from typer.testing import CliRunner
from written_runs import TRUTH, VISITS, at, truth, write

from perception.synthetic.demand import Demand
from perception.synthetic.run_files import write_run
from site_models.dump import dump_site
from site_models.generate import generate
from site_models.load import PACKAGED
from twin.cli import app
from twin.errors import BadInput
from twin.evaluation.degraded import DEGRADATIONS, only
from twin.evaluation.robustness import Asked, ratio, robustness
from twin.evaluation.run_tables import NEVER, read_table
from twin.evaluation.truth_until import write_truth_until
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved

CAMERAS = ["east", "north", "west"]


def frames(n, camera="east"):
    for sequence in range(1, n + 1):
        frame = FrameObserved(camera=camera, frame_px=(96, 54), detector="d", clock="unsynced")
        key = DeviceKey(device=camera, boot_epoch=1, sequence=sequence)
        yield ObservationEvent(site="lot", key=key, occurred_at=sequence * SECOND, payload=frame)


def tick(seconds):
    key = DeviceKey(device="clock", boot_epoch=1, sequence=seconds)
    return ObservationEvent(site="lot", key=key, occurred_at=seconds * SECOND, payload=ClockTicked(worker="w"))


def sent(name, seed=1, n=200):
    events = [event for camera in CAMERAS for event in frames(n, camera)]
    return list(DEGRADATIONS[name]([*events, tick(7)], CAMERAS, seed))


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_is_the_same_for_a_seed_and_leaves_the_clock(name):
    assert sent(name) == sent(name)
    assert len({str(sent(name, seed, n=20)) for seed in range(8)}) > 1
    assert sent(name)[-1] == tick(7)


def test_cameras_that_are_out_send_nothing_and_the_others_all():
    for name, n_out in (("camera_out", 1), ("cameras_out", 2)):
        left = [event.payload.camera for event in sent(name)[:-1]]
        assert (len(left), len(set(left))) == (200 * (3 - n_out), 3 - n_out)


def test_about_as_many_frames_are_lost_as_is_said():
    assert 480 < len(sent("frames_lost_10")) - 1 < 580
    assert 240 < len(sent("frames_lost_50")) - 1 < 360


def test_a_clock_that_is_off_is_so_by_one_amount_and_one_that_drifts_by_ever_more():
    off = {event.occurred_at - event.key.sequence * SECOND for event in sent("clocks_off_2s")[:200]}
    assert len(off) == 1
    assert 0 < abs(off.pop()) <= 2 * SECOND
    drift = [event.occurred_at - event.key.sequence * SECOND for event in sent("clocks_drift_200ppm")[:200]]
    assert (drift[0], abs(drift[-1])) == (0, round(199 * 200e-6 * SECOND))


def test_only_the_cameras_and_seconds_that_are_asked_for_are_left():
    events = [*frames(20), *frames(20, "north"), tick(11), tick(60)]
    left = list(only(events, frozenset({"east"}), 5 * SECOND))
    assert left == [*frames(5), tick(11)]


def test_the_truth_of_the_beginning_ends_where_it_is_said_and_later_exits_are_open(tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    rows = [truth("a", 0, 1.0), truth("a", 50, 2.0, state="left"), truth("b", 5, 3.0, state="parked", stall="s")]
    write(run, "truth", TRUTH, rows)
    stays = [("a", at(0), at(50), None, 10), ("b", None, at(20), None, None), ("c", at(40), None, None, None)]
    write(run, "visits", (*VISITS, "amount_minor"), stays)
    out.mkdir()
    assert write_truth_until(run, out, 30, SECOND) == at(31)
    kept, visits = read_table(out, "truth"), read_table(out, "visits")
    assert list(zip(kept["vehicle"], kept["t"], kept["state"], strict=True)) == [
        ("a", at(1), "moving"),
        ("a", at(31), "moving"),
        ("b", at(6), "parked"),
        ("b", at(31), "parked"),
    ]
    assert list(zip(visits["vehicle"], visits["entry_t"], visits["exit_t"], visits["amount_minor"], strict=True)) == [
        ("a", at(1), NEVER, NEVER),
        ("b", NEVER, at(21), NEVER),
    ]


def test_a_ratio_is_what_is_left_and_nothing_of_nothing():
    clean = {"value": 0.8, "lo95": 0.7, "hi95": 0.9}
    found = ratio({"value": 0.4, "lo95": 0.3, "hi95": 0.5}, clean)
    # 0.1 / 0.8 of the one, 0.1 * 0.4 / 0.64 of the other, in quadrature.
    spread = (0.125**2 + 0.0625**2) ** 0.5
    assert found == {"value": 0.5, "lo95": pytest.approx(0.5 - spread, abs=1e-6), "hi95": pytest.approx(0.5 + spread, abs=1e-6)}
    assert ratio(clean, {"value": 0.0, "lo95": 0.0, "hi95": 0.1})["value"] is None
    assert ratio(None, clean)["value"] is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("robust") / "run"
    site = generate(n_cameras=2, n_stalls=6, n_levels=1, overlap=0.2, seed=3)
    write_run(site, "clean", 1, 0.01, run, at(0), demand=Demand(stay_median_s=20))
    dump_site(site, run / "site")
    return run


def test_a_run_is_scored_clean_and_worse_and_its_cases_name_their_command(run, tmp_path):
    words = ["eval", "robustness", str(run), "--only", "cameras_out", "--seconds", "30", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["schema"], report["kind"]) == ("twin.eval/1", "robustness")
    assert set(report["conditions"]) == {"clean", "cameras_out"}
    clean, worse = (report["conditions"][name]["idf1"]["value"] for name in ("clean", "cameras_out"))
    assert report["metrics"]["idf1_ratio_cameras_out"]["value"] == pytest.approx(worse / clean, abs=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"clean", "cameras_out"}
    for case in report["worst"]:
        assert case["replay"] == f"twin eval robustness {run} --only cameras_out --seed 1 --seconds 30"


def test_pictures_are_asked_of_clips_alone_and_degradations_by_their_names(run):
    with pytest.raises(BadInput, match="'image_blur' wants pictures, and a run has none"):
        robustness(run, Asked(only=("image_blur",)))
    with pytest.raises(BadInput, match="'rain' is not known; use one of camera_out"):
        robustness(run, Asked(only=("rain",)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(seconds=600), r"--seconds 600 is more than the 3\d\.\d s that '.*/run' has"),
        (Asked(n_cameras=3), "--cameras 3 is more than the 2 of '.*/run'"),
        (Asked(n_cameras=1, only=("camera_out",)), "'camera_out' cannot be tried: of one camera none can be out"),
    ],
)
def test_more_than_a_run_has_is_refused(run, asked, said):
    with pytest.raises(BadInput, match=said):
        robustness(run, asked)


def test_clips_are_no_longer_than_they_are():
    pytest.importorskip("av")
    with pytest.raises(BadInput, match=r"--seconds 9999 is more than the \d+\.\d s that '.*/clips' has"):
        robustness(PACKAGED / "demo_lot" / "clips", Asked(seconds=9999))


def test_of_one_camera_the_degradations_of_cameras_are_left_out_and_that_is_said(run, monkeypatch):
    few = {name: DEGRADATIONS[name] for name in ("camera_out", "frames_lost_10", "cameras_out")}
    monkeypatch.setattr("twin.evaluation.robustness.DEGRADATIONS", few)
    told = list[str]()
    report = robustness(run, Asked(n_cameras=1, seconds=10), told.append)
    assert set(report["conditions"]) == {"clean", "frames_lost_10"}
    assert told[0].startswith("left out: camera_out, cameras_out, as of one camera none can be out")


def test_a_run_in_which_nobody_moves_is_refused_by_the_name_that_was_given(tmp_path):
    site = generate(n_cameras=2, n_stalls=6, n_levels=1, overlap=0.2, seed=3)
    write_run(site, "default", 1, 0.003, tmp_path / "quiet", at(0))
    dump_site(site, tmp_path / "quiet" / "site")
    with pytest.raises(BadInput, match="nobody moves in it") as refused:
        robustness(tmp_path / "quiet", Asked(only=("frames_lost_10",)))
    assert f"'{tmp_path / 'quiet'}'" in str(refused.value)
    assert "/clean" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("foo",), "no score 'foo'; use one of tracking, stalls, sessions, localization, review, search, robustness"),
        (("foo", "--vehicle", "a", "--around", "2026-01-01T00:00:00Z"), "no score 'foo'"),
        (("tracking", "--seconds", "5", "--cameras", "1"), "--seconds, --cameras would change nothing of 'tracking'"),
        (("stalls", "--seed", "1", "--only", "camera_out", "--out", "x"), "--seed, --only, --out would change nothing"),
        (("tracking", "--site", "demo_lot"), "--site would change nothing of 'tracking'"),
        (("sessions", "--around", "2026-01-01T00:00:00Z"), "a case is shown of one run"),
        (("robustness", "--stall", "s1"), "--stall would change nothing of 'robustness'"),
    ],
)
def test_what_would_change_nothing_is_refused(run, words, said):
    done = CliRunner().invoke(app, ["eval", words[0], str(run), *words[1:]])
    assert isinstance(done.exception, BadInput)
    assert said in str(done.exception)


def test_clips_are_looked_at_again_with_worse_pictures():
    pytest.importorskip("av")
    clips = PACKAGED / "demo_lot" / "clips"
    report = robustness(clips, Asked(seconds=2, n_cameras=1, only=("image_fog",)))
    assert set(report["conditions"]) == {"clean", "image_fog"}
    assert report["n"] > 0
    assert report["conditions"]["image_fog"] != report["conditions"]["clean"]
