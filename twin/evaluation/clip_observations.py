"""What our own models see in a site's clips, also when the pictures are corrupted: ``perceive run``, a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from perception.clips import Clips
from perception.models import packaged, packaged_if_any
from site_models.schema import Camera
from twin.errors import SourceError
from twin.events.codec import rfc3339
from twin.events.ids import Micros

_LONGEST_S = 300.0
_SLOWEST = 30.0
"""Most that looking at a second of one camera may take, and what starting takes."""


def perceived(
    site: str,
    clips: Clips,
    cameras: Sequence[Camera],
    seconds: float,
    start_at: Micros,
    out: Path,
    corruption: str | None,
    seed: int,
    *,
    described_by: Literal["embedder", "colours"] = "embedder",
) -> None:
    """Write what is seen in the clips' first seconds to ``out``.

    Args:
        site: folder or name.
        corruption: one that ``perceive run --corrupt`` knows; None: the pictures are as they are.
        described_by: how views are: by our own embedder, if it is installed, else by their colours.

    Raises:
        ModelError: our own detector is not installed.
        SourceError: it failed, or took too long.
    """
    n_frames = max(1, round(min(seconds, clips.manifest.duration_s) * clips.manifest.fps))
    words = ["run", "--site", site, "--detector", str(packaged("detector")), "--quiet", "--as-fast-as-possible"]
    words += ["--start-at", rfc3339(start_at), "--max-frames", str(n_frames), "--out", str(out)]
    if described_by == "embedder" and (embedder := packaged_if_any("embedder")) is not None:
        words += ["--embedder", str(embedder)]
    for camera in cameras:
        words += ["--video", f"{camera.id}={clips.folder / clips.manifest.files[str(camera.id)]}"]
    words += [] if corruption is None else ["--corrupt", corruption, "--corrupt-seed", str(seed)]
    longest_s = _LONGEST_S + _SLOWEST * seconds * len(cameras)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "perception.cli", *words], capture_output=True, text=True, timeout=longest_s, check=False
        )
    except subprocess.TimeoutExpired:
        wrong = f"{len(cameras)} clips took over {longest_s:.0f} s to look at"
        raise SourceError(f"{wrong}; ask for fewer --seconds or --cameras") from None
    if done.returncode != 0:
        raise SourceError(f"the clips in '{clips.folder}' could not be looked at: {done.stderr.strip()[-500:]}")
