import msgspec
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("yolox", reason="the extra 'train' is not installed")

from perception.model_file import model_id  # noqa: E402
from perception.onnx_detector import OnnxDetector  # noqa: E402
from perception.training.detector import DetectorTraining, Length  # noqa: E402
from perception.training.detector_run import train_detector  # noqa: E402
from perception.training.frames_dataset import KINDS, read_frames  # noqa: E402
from perception.training.recipe import DetectorRecipe  # noqa: E402
from twin.errors import BadInput, ModelError  # noqa: E402

TINY = DetectorRecipe(input_px=(128, 96), small_px=(96, 64), batch=4)


def training(frames, out, length, recipe=TINY):
    return DetectorTraining(read_frames(frames), out, recipe, length, threads=1, workers=0)


def lines(out):
    return [msgspec.json.decode(line) for line in (out / "metrics.jsonl").read_bytes().splitlines()]


def test_sixty_steps_lower_the_loss(painted_frames, tmp_path):
    easy = msgspec.structs.replace(TINY, small_px=(128, 96), mild_share=1.0, peak_rate=4e-3)
    training(painted_frames(24), tmp_path / "run", Length(epochs=10), easy).train()
    told = lines(tmp_path / "run")
    assert 60 <= told[-1]["step"] <= 70  # frames of rare kinds come more often
    assert told[-1]["total_loss"] < 0.8 * told[0]["total_loss"]


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(painted_frames, tmp_path):
    frames = painted_frames(12)
    unbroken = training(frames, tmp_path / "unbroken", Length(epochs=4)).train()
    training(frames, tmp_path / "broken", Length(epochs=4, stop_after=2)).train()
    assert lines(tmp_path / "broken")[-1]["epoch"] == 2
    resumed = training(frames, tmp_path / "broken", Length(epochs=4)).train()
    weights = resumed.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in unbroken.state_dict().items())
    assert [line["epoch"] for line in lines(tmp_path / "broken")] == [1, 2, 3, 4]


def test_pictures_drawn_by_a_worker_process_are_the_same(painted_frames, tmp_path):
    frames = painted_frames(8)
    here = training(frames, tmp_path / "here", Length(epochs=1)).train().state_dict()
    there = DetectorTraining(read_frames(frames), tmp_path / "there", TINY, Length(epochs=1), threads=1, workers=1).train()
    assert all(torch.equal(value, here[name]) for name, value in there.state_dict().items())


def test_a_checkpoint_of_another_recipe_is_refused(painted_frames, tmp_path):
    frames = painted_frames(4)
    training(frames, tmp_path / "run", Length(epochs=1)).train()
    with pytest.raises(BadInput, match="give another --out"):
        training(frames, tmp_path / "run", Length(epochs=1), msgspec.structs.replace(TINY, seed=2))


def test_a_loss_that_is_no_number_ends_the_run(painted_frames, tmp_path):
    run = training(painted_frames(8), tmp_path / "run", Length(epochs=1))
    with torch.no_grad():
        next(run.run.network.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match=r"the loss is nan at step 1"):
        run.train()


def test_a_finished_run_goes_on_where_more_epochs_are_asked_for(painted_frames, tmp_path):
    frames = painted_frames(4)
    training(frames, tmp_path / "run", Length(epochs=1)).train()
    training(frames, tmp_path / "run", Length(epochs=2)).train()
    assert [(line["epoch"], line["epochs"]) for line in lines(tmp_path / "run")] == [(1, 1), (2, 2)]


def test_the_epochs_are_those_that_fit_the_minutes(painted_frames, tmp_path):
    run = training(painted_frames(8), tmp_path / "run", Length(minutes=0.1))
    run.train()
    told = lines(tmp_path / "run")
    assert told[-1]["epoch"] == told[-1]["epochs"] > 1
    assert told[-1]["elapsed_s"] < 9.0  # of 6 s: an epoch in flight is finished


def test_a_run_leaves_a_model_that_the_product_reads_its_metrics_and_its_card(painted_frames, tmp_path):
    out = tmp_path / "run"
    metrics = train_detector(painted_frames(8), painted_frames(3, seed=2), out, TINY, Length(epochs=1), threads=1, workers=0)
    detector = OnnxDetector(out / "detector.onnx", runtime="onnxruntime")
    assert metrics.model == detector.id
    assert metrics.frames == 3
    assert msgspec.json.decode((out / "detector.metrics.json").read_bytes())["vehicles"] == metrics.vehicles
    card = (out / "detector.md").read_text()
    assert "Apache-2.0" in card
    assert "--epochs 1 --seed 1 --device cpu --threads 1" in card
    assert all(kind in card for kind in KINDS)


def test_a_run_starts_from_the_detector_of_another_and_says_so(painted_frames, tmp_path):
    frames, held_out = painted_frames(8), painted_frames(3, seed=2)
    train_detector(frames, held_out, tmp_path / "first", TINY, Length(epochs=1), threads=1, workers=0)
    start = tmp_path / "first" / "detector.onnx"
    still = msgspec.structs.replace(TINY, start=model_id(start), peak_rate=0.0, small_share=0.0, weight_decay=0.0)
    train_detector(frames, held_out, tmp_path / "next", still, Length(epochs=1), start=start, threads=1, workers=0)
    image = read_frames(held_out).image(0)
    before, after = (
        OnnxDetector(tmp_path / run / "detector.onnx", runtime="onnxruntime").detect(image) for run in ("first", "next")
    )
    assert len(before) == len(after)
    card = (tmp_path / "next" / "detector.md").read_text()
    assert f"--start-from {model_id(start)} --epochs 1" in card
    assert f"went on from the weights of {model_id(start)}" in card


def test_training_and_measuring_on_the_same_frames_is_refused(painted_frames, tmp_path):
    frames = painted_frames(2)
    with pytest.raises(BadInput, match="other seeds"):
        train_detector(frames, frames, tmp_path / "run", TINY, Length(epochs=1), threads=1, workers=0)
