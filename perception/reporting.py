"""What a run says of itself: progress, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import typer

from perception.summary import CameraSummary, RunSummary
from site_models.schema import CameraId


def show_progress(cameras: Mapping[CameraId, CameraSummary], seconds: float) -> None:
    """A line of figures on standard error."""
    frames = sum(camera.frames for camera in cameras.values())
    tracklets = sum(camera.tracklets for camera in cameras.values())
    dropped = sum(camera.dropped for camera in cameras.values())
    typer.echo(f"{frames} frames, {frames / seconds:.1f} fps, {tracklets} tracklets, {dropped} dropped", err=True)


def say_nothing(cameras: Mapping[CameraId, CameraSummary], seconds: float) -> None:
    """Progress of a quiet run."""


def report(summary: RunSummary, *, as_json: bool, spool: Path) -> None:
    """What a run came to; exits 1 where a camera failed, or something was not delivered."""
    for camera, counts in summary.cameras.items():
        line = (
            f"{camera}: {counts.frames} frames, {counts.detections} detections, {counts.tracklets} tracklets, {counts.fps} fps"
        )
        typer.echo(line, err=True)
        if counts.error is not None:
            typer.echo(f"perceive: {counts.error}", err=True)
    delivery = summary.delivery
    if delivery is not None and delivery.spooled:
        why = f" ({delivery.trouble})" if delivery.trouble else ""
        typer.echo(
            f"{delivery.spooled} observations wait in '{spool}'{why}; the next run or `perceive send` delivers them", err=True
        )
    if delivery is not None and delivery.expired:
        typer.echo(f"perceive: the service has had and cut {delivery.expired} observations; they were dropped", err=True)
    if delivery is not None and delivery.rejected:
        typer.echo(f"perceive: the service refused {delivery.rejected} observations; see '{spool}/rejected.jsonl'", err=True)
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    if not summary.is_whole:
        raise typer.Exit(1)
