from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

import site_models
from perception.clips import MANIFEST, Clips, ClipsManifest, read_manifest, write_manifest
from perception.looped_video import LoopedVideo
from perception.synthetic.loop import LoopTraffic
from perception.synthetic.run_files import write_truth
from perception.synthetic.truth import FRAME
from site_models.load import load_site, resolve
from twin.errors import BadInput, SourceError
from twin.events.ids import SECOND

START_AT = 1_800_000_000_000_000
FPS, N_FRAMES = 3, 6
NAMES = ("gate-in", "gate-out")


@pytest.fixture(scope="module")
def site():
    return load_site(Path(site_models.__file__).parent / "sites" / "demo_lot")


def _write(path, n_frames, shade=0, rate=FPS):
    """Frame i is a flat grey of ``shade`` + 30 i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(n_frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade + 30 * i, np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _manifest(**changes):
    usual = ClipsManifest(
        site="demo_lot",
        seed=1,
        fps=FPS,
        duration_s=N_FRAMES // FPS,
        n_frames=N_FRAMES,
        hour="day",
        rain=0.0,
        truth="truth.parquet",
        visits="visits.parquet",
        boxes="boxes.parquet",
        files={name: f"{name}.mp4" for name in NAMES},
    )
    return replace(usual, **changes)


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(NAMES):
        _write(tmp_path / f"{name}.mp4", N_FRAMES, shade=10 * k)
    write_manifest(tmp_path, _manifest())
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(folder):
    assert read_manifest(folder) == _manifest()


def test_rounds_follow_one_another_without_gap_or_step_back(folder, site):
    clips = Clips(folder, site)
    clip = clips.open(clips.cameras[0], START_AT)
    frames = list(islice(clip.frames(), 2 * N_FRAMES + 3))
    clip.close()
    expected = [START_AT + round(Fraction(i * SECOND, FPS)) for i in range(len(frames))]
    assert [frame.exposed_at for frame in frames] == expected
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(
        abs(float(a.image.mean()) - float(b.image.mean())) < 1.0 for a, b in zip(frames, frames[N_FRAMES:], strict=False)
    )
    assert all(a.image.mean() < b.image.mean() for a, b in pairwise(frames[:N_FRAMES]))


def test_as_many_rounds_are_played_as_were_asked_for(folder, site):
    clips = Clips(folder, site)
    clip = clips.open(clips.cameras[0], START_AT, n_rounds=2)
    frames = list(islice(clip.frames(), 3 * N_FRAMES))
    clip.close()
    assert [frame.index for frame in frames] == list(range(2 * N_FRAMES))


def test_cameras_that_start_together_stay_together(folder, site):
    clips = Clips(folder, site)
    sources = [clips.open(camera, START_AT) for camera in clips.cameras]
    one, other = ([frame.exposed_at for frame in islice(source.frames(), 3 * N_FRAMES)] for source in sources)
    for source in sources:
        source.close()
    assert one == other
    assert clips.period == N_FRAMES // FPS * SECOND


def test_an_interrupted_clip_ends_without_an_error(folder, site):
    clips = Clips(folder, site)
    clip = clips.open(clips.cameras[0], START_AT)
    seen = []
    for frame in clip.frames():
        seen.append(frame.index)
        if len(seen) == N_FRAMES + 2:
            clip.interrupt()
    clip.close()
    clip.close()
    assert seen == list(range(N_FRAMES + 2))


@pytest.mark.parametrize("n_frames", [N_FRAMES - 2, N_FRAMES + 1])
def test_a_clip_of_another_length_would_drift_and_is_refused(tmp_path, n_frames):
    _write(tmp_path / "clip.mp4", n_frames)
    clip = LoopedVideo("gate-in", tmp_path / "clip.mp4", start_at=0, fps=FPS, n_frames=N_FRAMES)
    with pytest.raises(SourceError, match=f"has {n_frames} frames, but should have {N_FRAMES}"):
        list(islice(clip.frames(), 3 * N_FRAMES))
    clip.close()


def test_faults_of_a_folder_are_named(tmp_path, folder, site):
    with pytest.raises(BadInput, match=r"clips\.toml is missing"):
        Clips(tmp_path / "nowhere", site)
    write_manifest(folder, _manifest(files={"roof": "gate-in.mp4"}))
    with pytest.raises(BadInput, match="camera 'roof', but site 'demo_lot' has aisle-1-east"):
        Clips(folder, site)
    write_manifest(folder, _manifest(files={"gate-in": "gone.mp4"}))
    with pytest.raises(BadInput, match=r"'gone\.mp4', which is not there"):
        Clips(folder, site)
    write_manifest(folder, _manifest(n_frames=7))
    with pytest.raises(BadInput, match=r"7 frames, but 2 s at 3 frames/s are 6"):
        Clips(folder, site)
    (folder / MANIFEST).write_text("schema = 'twin.clips/1'\nsurprise = 1\n")
    with pytest.raises(BadInput, match=r"surprise|required"):
        Clips(folder, site)


def test_the_committed_clips_are_of_the_traffic_that_their_seed_gives(tmp_path):
    folder = resolve("demo_lot")
    manifest = read_manifest(folder / "clips")
    traffic = LoopTraffic(load_site(folder), manifest.seed, manifest.duration_s)
    write_truth(tmp_path / "truth.parquet", (traffic.at(at) for at in range(0, round(manifest.duration_s * SECOND), FRAME)))
    committed = pq.read_table(folder / "clips" / manifest.truth)
    assert pq.read_table(tmp_path / "truth.parquet").equals(committed)
