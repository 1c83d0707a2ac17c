"""``twin calibrate``: a camera's geometry from a file of marked points."""

from __future__ import annotations

import getpass
import os
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from twin.client_key import client_key, key_shown
from twin.commands import AsJson, SiteName, builtins, print_json, say
from twin.errors import BadInput

CameraName = Annotated[str, typer.Option("--camera", help="Id of the camera.")]
PairsFile = Annotated[Path, typer.Option("--pairs", exists=True, dir_okay=False, help="Marked points: .json or .csv.")]
LinesFile = Annotated[
    Path | None, typer.Option("--lines", exists=True, dir_okay=False, help="Straight lines, for the lens: .json or .csv.")
]
Lens = Annotated[str, typer.Option("--lens", help="find, or keep that of cameras.toml.")]
ModelName = Annotated[str, typer.Option("--model", help="auto, pinhole or homography.")]
LevelName = Annotated[str | None, typer.Option("--level", help="Whose ground the points are on; default: the camera's.")]
SigmaPx = Annotated[float, typer.Option("--sigma-px", min=0.05, max=50, help="How well the points are marked.")]
Write = Annotated[bool, typer.Option("--write", help="Put the result into the site's cameras.toml.")]
OutFile = Annotated[Path | None, typer.Option("--out", help="Write the result to this file, as JSON.")]
LogUrl = Annotated[str | None, typer.Option("--log", help="Save it as an event of the service at this address.")]
AtTime = Annotated[str | None, typer.Option("--at", help="With --log: from when on it holds, RFC 3339, or now.")]
Reason = Annotated[str, typer.Option("--reason", help="With --log: kept in the log.")]


def calibrate(
    site: SiteName,
    camera: CameraName,
    pairs: PairsFile,
    lines: LinesFile = None,
    lens: Lens = "find",
    model: ModelName = "auto",
    level: LevelName = None,
    sigma_px: SigmaPx = 1.0,
    write: Write = False,
    out: OutFile = None,
    log: LogUrl = None,
    at: AtTime = None,
    reason: Reason = "calibrated",
    as_json: AsJson = False,
) -> None:
    """A camera's geometry from points of its picture and of the plan: how well it fits, what to mistrust, and what to keep."""
    from site_models.load import load_site, resolve
    from twin.calibrating import solve
    from twin.marks_file import read_marks

    if lens not in ("find", "keep") or model not in ("auto", "pinhole", "homography"):
        raise BadInput(
            f"--lens '{lens}' --model '{model}' is not known; --lens is find or keep, --model auto, pinhole or homography"
        )
    if log is not None and at is None:
        raise BadInput(
            "--log needs --at: from when on the camera stands as it does in the picture, such as 2026-01-01T09:00:00Z, or now"
        )
    folder = resolve(site)
    given = read_marks(pairs, lines)
    used = solve(load_site(folder), camera, given, keeps_lens=lens == "keep", model=model, level=level, sigma_px=sigma_px)
    told = {
        "schema": "twin.calibration/1",
        "camera": camera,
        "calibration": builtins(used.solution.calibration),
        "remarks": builtins(used.solution.remarks),
    }
    if out is not None:
        from twin.events.codec import canonical_json

        out.write_bytes(canonical_json(told) + b"\n")
    if as_json:
        print_json(told)
    else:
        for line in used.text():
            typer.echo(line)
    if used.solution.calibration is None:
        raise typer.Exit(1)
    if write:
        used.write(folder / "cameras.toml")
        say(f"camera '{camera}' has its new geometry in {folder / 'cameras.toml'}")
    if log is not None:
        body = {**used.body(lens=lens, model=model), "at": _since(at), "author": getpass.getuser(), "reason": reason}
        say(_sent(log, used.site.name, camera, body))


def _since(at: str | None) -> str | None:
    from twin.events.codec import rfc3339
    from twin.log.clock import system_clock

    return rfc3339(system_clock()) if at == "now" else at


def _sent(log: str, site: str, camera: str, body: dict[str, Any]) -> str:
    """The service's answer in words; the same file, time and reason sent again are the same event."""
    import httpx2

    from twin.events.codec import canonical_json

    name = blake2b(canonical_json([camera, body]), digest_size=12).hexdigest()
    url = f"{log.rstrip('/')}/v1/sites/{site}/cameras/{camera}/calibration"
    try:
        content = canonical_json({**body, "id": f"twin-calibrate-{name}"})
        answer = httpx2.post(url, content=content, headers=key_shown(client_key(os.environ)), timeout=60)
    except (httpx2.TransportError, httpx2.InvalidURL) as wrong:
        raise BadInput(f"{url} cannot be reached: {wrong or type(wrong).__name__}; is it a running service?") from None
    if not answer.is_success:
        raise BadInput(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    told: dict[Literal["outcome", "position"], Any] = answer.json()
    return f"{told['outcome']} as observation {told.get('position', 'of a broker')} of site '{site}'"
