"""``perceive render``: pictures with exact ground truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, get_args

import typer

from perception.synthetic.render.light import Hour
from twin.errors import BadInput

app = typer.Typer(
    name="render", help="Renders pictures with exact ground truth: training data and clips.", no_args_is_help=True
)

_FRAME_PX = re.compile(r"(\d+)x(\d+)")
_LEAST_PX, _MOST_PX = 64, 4096


@app.callback()
def _render() -> None:
    """Renders pictures with exact ground truth: training data and clips."""


@app.command()
def frames(
    out: Annotated[Path, typer.Option(help="Folder to fill; what it holds already is kept.")],
    n: Annotated[int, typer.Option("--frames", min=1, help="How many.")] = 2400,
    seed: Annotated[int, typer.Option(help="Same seed, same frames.")] = 1,
    size: Annotated[str, typer.Option(help="Width x height of a frame, px.")] = "640x360",
    held_out: Annotated[bool, typer.Option("--held-out", help="Bodies and light that training frames never have.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Render in so many processes.")] = 2,
) -> None:
    """Random car parks with every vehicle's box, kind and visible share."""
    from perception.synthetic.render.frames import join_listings
    from perception.synthetic.render.processes import in_processes

    frame_px = _size(size)
    shares = [range(n * k // processes, n * (k + 1) // processes) for k in range(processes)]
    in_processes(_frames, [(out, share, seed, frame_px, held_out) for share in shares if len(share)], processes)
    typer.echo(f"{len(join_listings(out))} frames in '{out}'", err=True)


@app.command()
def crops(
    out: Annotated[Path, typer.Option(help="Folder to fill; what it holds already is kept.")],
    groups: Annotated[int, typer.Option(min=1, help="Groups of 25 vehicles.")] = 40,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes of each group, every one in other light.")] = 3,
    seed: Annotated[int, typer.Option(help="Same seed, same crops.")] = 1,
    held_out: Annotated[bool, typer.Option("--held-out", help="Bodies and light that training crops never have.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Render in so many processes.")] = 2,
) -> None:
    """Vehicles passing several cameras, some of them look-alikes."""
    from perception.synthetic.render.processes import in_processes

    shares = [range(groups * k // processes, groups * (k + 1) // processes) for k in range(processes)]
    counts = in_processes(_crops, [(out, share, seed, scenes, held_out) for share in shares if len(share)], processes)
    typer.echo(f"{sum(counts)} new crops in '{out}'", err=True)


@app.command()
def clips(
    site: Annotated[str, typer.Option(help="Folder of the site model, or the name of a packaged site.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    seconds: Annotated[int, typer.Option(min=20, help="Length of every clip; its traffic repeats after it.")] = 180,
    fps: Annotated[int, typer.Option(min=1, max=30, help="Frames a second.")] = 6,
    seed: Annotated[int, typer.Option(help="Same seed, same clips.")] = 1,
    hour: Annotated[str, typer.Option(help="day, low, cloud, dusk or night.")] = "day",
    rain: Annotated[float, typer.Option(min=0.0, max=1.0, help="0 is none, 1 is heavy.")] = 0.0,
    processes: Annotated[int, typer.Option(min=1, help="Render in so many processes.")] = 2,
) -> None:
    """Synchronized clips of every camera, with the truth of every frame; the traffic can be played in a loop."""
    from perception.synthetic.render.clip_folder import write_clips
    from site_models.load import load_site, resolve

    loaded = load_site(resolve(site))
    write_clips(loaded, out, seconds, fps, seed, _hour(hour), rain, processes, lambda line: typer.echo(line, err=True))


@app.command()
def sheet(
    site: Annotated[str, typer.Option(help="Folder of the site model, or the name of a packaged site.")],
    out: Annotated[Path, typer.Option(help="Picture to write (.jpg or .png).")],
    seed: Annotated[int, typer.Option(help="Same seed, same sheet.")] = 1,
    cameras: Annotated[int, typer.Option(min=1, help="So many of the site's cameras.")] = 3,
) -> None:
    """A contact sheet of the site's cameras by day, at a low sun, at dusk, at night and in rain."""
    import cv2

    from perception.synthetic.loop import LoopTraffic
    from perception.synthetic.render.sheet import contact_sheet
    from site_models.load import load_site, resolve
    from twin.events.ids import SECOND

    loaded = load_site(resolve(site))
    picture = contact_sheet(loaded, LoopTraffic(loaded, seed), 60 * SECOND, seed, loaded.cameras[:cameras])
    if not cv2.imwrite(str(out), picture):
        raise BadInput(f"'{out}' could not be written; give a .jpg or .png in a folder that exists")


def _frames(out: Path, numbers: range, seed: int, frame_px: tuple[int, int], held_out: bool) -> int:
    from perception.synthetic.render.frames import write_frames

    return sum(1 for _ in write_frames(out, numbers, seed, frame_px, is_held_out=held_out))


def _crops(out: Path, groups: range, seed: int, scenes: int, held_out: bool) -> int:
    from perception.synthetic.render.passes import write_crops

    return sum(n for _, n in write_crops(out, groups, seed, scenes, is_held_out=held_out))


def _size(text: str) -> tuple[int, int]:
    found = _FRAME_PX.fullmatch(text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (_LEAST_PX <= width <= _MOST_PX and _LEAST_PX <= height <= _MOST_PX):
        raise BadInput(f"'{text}' is no frame size; give WIDTHxHEIGHT of {_LEAST_PX} to {_MOST_PX} px, such as 640x360")
    return width, height


def _hour(text: str) -> Hour:
    for hour in get_args(Hour):
        if hour == text:
            return hour
    raise BadInput(f"hour '{text}' is not known; use one of {', '.join(get_args(Hour))}")
