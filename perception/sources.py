"""What stands behind ``--video CAMERA=PATH``: a file, a folder of pictures, or an RTSP address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from perception.frames import FrameSource
from perception.image_folder import ImageFolder
from perception.rtsp import RtspStream
from perception.video_file import VideoFile
from site_models.schema import Camera, CameraId, Site
from twin.errors import BadInput, SourceError
from twin.events.ids import Micros


def parse_video(text: str) -> tuple[CameraId, str]:
    """Split ``CAMERA=PATH``; raises BadInput."""
    camera, sign, address = text.partition("=")
    if not (camera and sign and address):
        raise BadInput(f"--video '{text}' is not CAMERA=PATH; for instance --video north=clip.mp4")
    return CameraId(camera), address


def cameras_of(site: Site, videos: Sequence[tuple[CameraId, str]]) -> list[Camera]:
    """The site's camera for every video.

    Raises:
        BadInput: a camera that the site lacks, or one that is named twice.
    """
    by_id = {camera.id: camera for camera in site.cameras}
    names = [camera for camera, _ in videos]
    for name in names:
        if name not in by_id:
            raise BadInput(f"site '{site.name}' has no camera '{name}'; it has {', '.join(sorted(by_id)) or 'none'}")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadInput(f"camera '{doubled[0]}' is given {names.count(doubled[0])} videos; give each camera one")
    return [by_id[name] for name in names]


def is_stream(address: str) -> bool:
    """Whether the address is a live stream."""
    return address.lower().startswith(("rtsp://", "rtsps://"))


def open_source(camera: Camera, address: str, *, start_at: Micros | None = None, max_tries: int = 8) -> FrameSource:
    """Open one camera's source; raises SourceError with what is wrong."""
    if is_stream(address):
        return RtspStream(camera.id, address, max_tries=max_tries)
    if "://" in address:
        scheme = address.split("://")[0]
        raise SourceError(f"camera '{camera.id}': '{scheme}://' is not supported; give a file, a folder or rtsp://")
    path = Path(address)
    if path.is_dir():
        return ImageFolder(camera.id, path, fps=camera.fps, start_at=start_at)
    return VideoFile(camera.id, path, start_at=start_at)
