"""Clips that a site brings along: one file a camera, exposed together, with traffic that can be played in a loop.

``clips.toml`` in a site's ``clips`` folder says what there is; ``perceive render clips`` writes such folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from perception.looped_video import LoopedVideo
from site_models.schema import Camera, Site
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

CLIPS_SCHEMA: Literal["twin.clips/1"] = "twin.clips/1"
MANIFEST = "clips.toml"


class ClipsManifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``clips.toml`` says.

    Attributes:
        fps, duration_s, n_frames: of every clip; frame i was exposed at start + i / fps.
        hour, rain: the light that was rendered.
        truth, visits, boxes: files of the ground truth: a run's tables, and what each frame shows of each vehicle.
        files: the clip of each camera.
    """

    schema: Literal["twin.clips/1"] = CLIPS_SCHEMA
    site: str
    seed: int
    fps: Annotated[int, Meta(ge=1, le=120)]
    duration_s: Annotated[int, Meta(ge=1)]
    n_frames: Annotated[int, Meta(ge=1)]
    hour: str
    rain: float
    truth: str
    visits: str
    boxes: str
    files: Annotated[dict[str, str], Meta(min_length=1)]


class Clips:
    """A folder of clips for a site.

    Raises:
        BadInput: no manifest, a wrong one, a camera that the site lacks, or a clip that is missing.
    """

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)
        by_id = {str(camera.id): camera for camera in site.cameras}
        for name, file in self.manifest.files.items():
            if name not in by_id:
                raise BadInput(
                    f"'{folder / MANIFEST}' has a clip of camera '{name}', but site '{site.name}' has {_list(by_id)}"
                )
            if not (folder / file).is_file():
                raise BadInput(f"'{folder / MANIFEST}' names '{file}', which is not there; render the clips again")
        self.cameras: tuple[Camera, ...] = tuple(by_id[name] for name in sorted(self.manifest.files))

    def open(self, camera: Camera, start_at: Micros, *, n_rounds: int | None = None) -> LoopedVideo:
        """A camera's clip from ``start_at`` on, so many rounds of it, or without end; raises SourceError."""
        manifest = self.manifest
        path = self.folder / manifest.files[str(camera.id)]
        return LoopedVideo(camera.id, path, start_at=start_at, fps=manifest.fps, n_frames=manifest.n_frames, n_rounds=n_rounds)

    @property
    def period(self) -> Micros:
        """From one round's first frame to the next's."""
        return self.manifest.duration_s * SECOND


def read_manifest(folder: Path) -> ClipsManifest:
    """``clips.toml`` of a folder; raises BadInput."""
    import tomllib

    path = folder / MANIFEST
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        manifest = msgspec.convert(content, ClipsManifest)
    except OSError:
        raise BadInput(
            f"there are no clips at '{folder}' ({MANIFEST} is missing); render some: perceive render clips"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as wrong:
        raise BadInput(f"'{path}' is no description of clips: {wrong}; render the clips again") from None
    if manifest.n_frames != manifest.fps * manifest.duration_s:
        raise BadInput(
            f"'{path}' says {manifest.n_frames} frames, but {manifest.duration_s} s at {manifest.fps} frames/s are "
            f"{manifest.fps * manifest.duration_s}; render the clips again"
        )
    return manifest


def write_manifest(folder: Path, manifest: ClipsManifest) -> None:
    """Write ``clips.toml``."""
    rows = msgspec.structs.asdict(manifest)
    files = rows.pop("files")
    lines = [*(_line(key, value) for key, value in rows.items()), "", "[files]"]
    lines += [_line(msgspec.json.encode(camera).decode(), file) for camera, file in sorted(files.items())]
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(key: str, value: object) -> str:
    return f"{key} = {msgspec.json.encode(value).decode()}"  # JSON's strings and numbers are TOML's


def _list(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[arg-type]
