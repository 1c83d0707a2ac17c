"""A whole folder of clips: films every camera, in several processes, and writes the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from perception.clips import ClipsManifest, write_manifest
from perception.synthetic.loop import LoopTraffic
from perception.synthetic.render.clips import FrameBox, Plan, film
from perception.synthetic.render.light import Hour, light
from perception.synthetic.render.processes import in_processes
from perception.synthetic.run_files import write_truth, write_visits
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import FRAME
from site_models.schema import CameraId, Site
from twin.errors import BadInput
from twin.events.ids import SECOND


def write_clips(
    site: Site,
    out: Path,
    seconds: int,
    fps: int,
    seed: int,
    hour: Hour,
    rain: float,
    processes: int,
    say: Callable[[str], None],
) -> ClipsManifest:
    """Film the site's round of traffic with every camera.

    Raises:
        BadInput: no camera, a camera without a lens, no round of traffic fits, or the seconds are not whole frames.
    """
    if not site.cameras:
        raise BadInput(f"site '{site.name}' has no cameras to film with; add one to cameras.toml")
    out.mkdir(parents=True, exist_ok=True)
    truth = LoopTraffic(site, seed, seconds)
    names = [str(camera.id) for camera in site.cameras]
    shares = [names[k::processes] for k in range(min(processes, len(names)))]
    parts = in_processes(_film, [(site, tuple(share), seconds, fps, seed, hour, rain, out) for share in shares], processes)
    boxes = sorted((box for part in parts for box in part), key=lambda box: (box.camera, box.frame, box.vehicle))
    pq.write_table(
        pa.Table.from_pylist([msgspec.structs.asdict(box) for box in boxes]), out / "boxes.parquet", compression="zstd"
    )
    write_truth(out / "truth.parquet", (truth.at(at) for at in range(0, seconds * SECOND, FRAME)))
    write_visits(out / "visits.parquet", truth.visits(1))
    manifest = ClipsManifest(
        site=site.name,
        seed=seed,
        fps=fps,
        duration_s=seconds,
        n_frames=fps * seconds,
        hour=hour,
        rain=rain,
        truth="truth.parquet",
        visits="visits.parquet",
        boxes="boxes.parquet",
        files={name: f"{name}.mp4" for name in names},
    )
    write_manifest(out, manifest)
    total = sum((out / name).stat().st_size for name in manifest.files.values())
    say(f"{len(names)} clips of {seconds} s in '{out}', {total / 1e6:.1f} MB, {len(boxes)} boxes")
    return manifest


def _film(
    site: Site, names: tuple[str, ...], seconds: int, fps: int, seed: int, hour: Hour, rain: float, out: Path
) -> list[FrameBox]:
    cameras = [camera for camera in site.cameras if camera.id in {CameraId(name) for name in names}]
    plan = Plan(fps=fps, seconds=seconds, light=light(generator(seed, "light", hour), hour, rain=rain), seed=seed)
    return film(site, LoopTraffic(site, seed, seconds), plan, cameras, out)
