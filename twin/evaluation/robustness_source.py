"""Where the observations of a robustness report come from: a run that has them, or clips that are looked at again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from site_models.load import load_site, resolve
from site_models.schema import Camera, Site
from twin.errors import BadInput, MissingExtra
from twin.evaluation.event_files import read_observations
from twin.evaluation.run_site import named_site
from twin.evaluation.run_tables import read_table
from twin.events.codec import micros
from twin.events.ids import SECOND, CameraId, Micros
from twin.events.observations import FrameObserved

CLIP_SECONDS = 60.0
CLIP_START: Micros = micros("2026-01-05T06:00:00Z")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Observations with their truth.

    Attributes:
        site_name: folder or name.
        cameras: those that something was seen by.
        length_s: how much of the truth there is.
        truth: the folder with ``truth`` and ``visits``.
        observations: the file, of what these cameras saw with pictures corrupted so (None: as they are); the folder is for it
            to write to.
        seconds: how much of the truth is looked at; None: as is asked for.
        shift_us: from the truth's times to the observations'.
    """

    site: Site
    site_name: str
    cameras: tuple[Camera, ...]
    truth: Path
    length_s: float
    observations: Callable[[str | None, frozenset[CameraId], Path], Path]
    seconds: float | None = None
    shift_us: Micros = 0


def source_of_run(run: Path, site: str | None) -> Source:
    """A run with observations.

    Raises:
        BadInput: it has none, or does not say of which site it is.
    """
    files = [path for ending in ("jsonl.zst", "jsonl") if (path := run / f"observations.{ending}").exists()]
    if not files:
        raise BadInput(f"'{run}' has neither observations.jsonl.zst nor observations.jsonl, and is no folder of clips either")
    name = named_site(run, site)
    model = load_site(resolve(name))
    seen, last_at = _seen(files[0])
    truth_at = read_table(run, "truth")["t"]
    length_s = (max(last_at, int(truth_at.max())) - int(truth_at.min())) / SECOND if len(truth_at) else 0.0
    cameras = tuple(camera for camera in model.cameras if camera.id in seen)
    return Source(site=model, site_name=name, cameras=cameras, truth=run, length_s=length_s, observations=lambda *_: files[0])


def _seen(observations: Path) -> tuple[frozenset[CameraId], Micros]:
    """The cameras whose frames a file has, and when the last was taken."""
    cameras, last_at = set[CameraId](), 0
    for event in read_observations(observations):
        if isinstance(event.payload, FrameObserved):
            cameras.add(event.payload.camera)
            last_at = max(last_at, event.occurred_at)
    return frozenset(cameras), last_at


def has_clips(folder: Path) -> bool:
    """Whether a folder is one of clips."""
    return (folder / "clips.toml").is_file()


def corruptions() -> tuple[str, ...]:
    """Ways in which pictures can be worse; raises MissingExtra where there is nothing to look at pictures with."""
    try:
        from perception.corruptions import CORRUPTIONS
    except ImportError as wrong:
        raise MissingExtra(f"pictures cannot be looked at again ({wrong}); pip install 'spatial-twin[edge]'") from None
    return tuple(CORRUPTIONS)


def source_of_clips(folder: Path, site: str | None, seconds: float | None, seed: int) -> Source:
    """A site's clips, ``seconds`` of them (a minute where that is None); the site is the folder around them, or as given.

    Raises:
        BadInput: the clips or the site are faulty.
    """
    from perception.clips import Clips
    from twin.evaluation.clip_observations import perceived

    name = site or str(folder.resolve().parent)
    model = load_site(resolve(name))
    clips = Clips(folder, model)
    length_s = float(clips.manifest.duration_s)
    wanted = min(CLIP_SECONDS if seconds is None else seconds, length_s)

    made = set[Path]()  # what lies in a kept folder may be of other seconds or cameras

    def seen(corruption: str | None, cameras: frozenset[CameraId], out: Path) -> Path:
        path = out / f"{corruption or 'clean'}.jsonl.zst"
        if path not in made:
            shown = [camera for camera in clips.cameras if camera.id in cameras]
            perceived(name, clips, shown, wanted, CLIP_START, path, corruption, seed)
            made.add(path)
        return path

    return Source(
        site=model,
        site_name=name,
        cameras=clips.cameras,
        truth=folder,
        length_s=length_s,
        observations=seen,
        seconds=wanted,
        shift_us=CLIP_START,
    )
