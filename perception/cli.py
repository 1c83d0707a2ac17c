"""``perceive``: cameras in, observations out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer

from perception.attribute_choice import open_attributes
from perception.clips import Clips
from perception.crossings import Crossings
from perception.detector import open_detector
from perception.embed import open_embedder
from perception.inference import Runtime
from perception.models import packaged, packaged_if_any
from perception.pictures import LONGEST_PX
from perception.plates import open_plates
from perception.reporting import report, say_nothing, show_progress
from perception.sink_choice import looking, sink_of, spool_sink
from perception.source_choice import clip_of, corrupted, pace_of, sources_of, time_given, video_of
from perception.sources import cameras_of, parse_video
from perception.summary import RunSummary
from perception.synthetic.render.cli import app as rendering
from perception.training.cli import app as training
from perception.worker import Feed, Worker
from site_models.load import load_site, resolve
from site_models.schema import SiteId
from twin.errors import BadInput, TwinError

app = typer.Typer(
    name="perceive",
    help="Watches cameras and reports what they see as observations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(training)
app.add_typer(rendering)

DEFAULT_SPOOL = Path("perceive-spool")


@app.callback()
def _perceive() -> None:
    """Watches cameras and reports what they see as observations."""


@app.command()
def run(
    site: Annotated[str, typer.Option(help="Folder of the site model, or the name of a packaged site.")],
    video: Annotated[
        list[str] | None, typer.Option(help="CAMERA=PATH of a video, a folder of pictures or an rtsp:// address; repeat it.")
    ] = None,
    clips: Annotated[
        bool, typer.Option("--clips", help="Play the site's own clips instead of --video: for ever, with --out once.")
    ] = False,
    detector: Annotated[
        Path | None, typer.Option(help="Detector: .onnx, OpenVINO .xml or folder, or .pt (ultralytics); with --clips, ours.")
    ] = None,
    embedder: Annotated[
        Path | None, typer.Option(help="Embedder: .onnx; without one, colours are described; with --clips, ours.")
    ] = None,
    attributes: Annotated[
        str,
        typer.Option(
            help="Tell colour and body: an attribute model's .xml, auto (the fetched one, if here), paint (weak) or none."
        ),
    ] = "none",
    plates: Annotated[
        Path | None, typer.Option(help="Read number plates: a plate finder's .xml; personal data, which the service seals.")
    ] = None,
    plate_reader: Annotated[
        Path | None, typer.Option(help="With --plates: a text recognizer's .onnx; default: that of the extra 'plates'.")
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="With --log: send each camera's picture and boxes once a second; it shows people."),
    ] = False,
    picture_px: Annotated[
        int, typer.Option(min=160, max=8192, help="With --pictures: longest side; larger frames are sent smaller.")
    ] = LONGEST_PX,
    out: Annotated[Path | None, typer.Option(help="Write observations to this .jsonl or .jsonl.zst file.")] = None,
    log: Annotated[
        str | None, typer.Option(help="Send observations to the service at this address; its key is in TWIN_API_KEY.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary on standard output.")] = False,
    realtime: Annotated[
        bool | None,
        typer.Option("--realtime/--as-fast-as-possible", help="Default: real time for streams and with --log."),
    ] = None,
    start_at: Annotated[str | None, typer.Option(help="Exposure time of the first frame of files, RFC 3339 or 'now'.")] = None,
    spool: Annotated[Path, typer.Option(help="With --log: folder for what the service has not taken yet.")] = DEFAULT_SPOOL,
    spool_mb: Annotated[int, typer.Option(min=1, help="With --log: bound of the spool.")] = 1024,
    drain_s: Annotated[float, typer.Option(min=0.0, help="With --log: longest wait at the end for the service.")] = 20.0,
    device: Annotated[str, typer.Option(help="Name of this edge; each edge of a site needs its own.")] = "edge",
    fps: Annotated[float | None, typer.Option(min=0.1, help="At most this many frames a second and camera.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of each camera.")] = None,
    min_score: Annotated[float, typer.Option(min=0.1, max=1.0, help="Least score that starts a tracklet.")] = 0.45,
    classes: Annotated[str | None, typer.Option(help="Class names of the detector, by comma, if it has none.")] = None,
    input_size: Annotated[int | None, typer.Option(help="Side of the detector's input, if it takes any.")] = None,
    runtime: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    max_tries: Annotated[int, typer.Option(min=1, help="Tries in a row for a stream that gives no frame.")] = 8,
    corrupt: Annotated[
        str | None, typer.Option(help="Make every picture worse first: noise, blur, dark, jpeg, fog or dirt.")
    ] = None,
    corrupt_seed: Annotated[int, typer.Option(help="With --corrupt: same seed, same pictures.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Detect and track vehicles in videos or streams; write or send what was seen."""
    folder = resolve(site)
    model = load_site(folder)
    if pictures and log is None:
        raise BadInput("--pictures sends pictures to a service; give its address with --log")
    if clips == bool(video):
        raise BadInput("give either --video CAMERA=PATH or --clips" + (", not both" if clips else ""))
    videos = [parse_video(text) for text in video or ()]
    addresses = [address for _, address in videos]
    pace = pace_of(addresses, realtime, start_at, is_sent=log is not None, fps=fps, max_frames=max_frames)
    starts_at = pace.origin_at if pace.is_real_time or start_at is not None else None
    if clips:
        opened = Clips(folder / "clips", model)
        cameras = list(opened.cameras)
        n_rounds = 1 if out is not None and max_frames is None else None  # a file has to end
        opens = partial(clip_of, opened, pace.origin_at if starts_at is None else starts_at, n_rounds)
        detector, embedder = detector or packaged("detector"), embedder or packaged_if_any("embedder")
    else:
        cameras = cameras_of(model, videos)
        address_of = dict(videos)
        opens = partial(video_of, address_of, starts_at, max_tries)
    if corrupt is not None:
        opens = corrupted(opens, corrupt, corrupt_seed)
    kind = _runtime(runtime)
    names = tuple(name.strip() for name in classes.split(",")) if classes else None
    detects = open_detector(detector, runtime=kind, classes=names, input_px=input_size)
    embeds = open_embedder(embedder, runtime=kind)
    tells, reads = open_attributes(attributes, runtime=kind), open_plates(plates, plate_reader, runtime=kind)
    with (
        looking(model, log if pictures else None, picture_px) as look,
        sources_of(cameras, opens) as sources,
        sink_of(model, out, log, spool, spool_mb, drain_s, device) as sink,
    ):
        feeds = [Feed(camera, source) for camera, source in zip(cameras, sources, strict=True)]
        worker = Worker(
            feeds,
            detects,
            embeds,
            sink,
            min_score=min_score,
            pace=pace,
            attributes=tells,
            plates=reads,
            look=look,
            progress=say_nothing if quiet else show_progress,
        )
        with _stopped_by(worker.stop):
            seconds = worker.run()
    summary = RunSummary(
        site=model.name,
        cameras={str(camera): counts for camera, counts in worker.summaries.items()},
        detector=detects.id,
        embedder=embeds.id,
        attributes=tells.id if tells is not None else None,
        plates=reads.id if reads is not None else None,
        runtime=detects.runtime,
        seconds=round(seconds, 3),
        delivery=sink.delivery,
    )
    report(summary, as_json=as_json, spool=spool)


@app.command()
def send(
    log: Annotated[str, typer.Option(help="Address of the service; its key is in TWIN_API_KEY.")],
    site: Annotated[str, typer.Option(help="Name of the site.")],
    spool: Annotated[Path, typer.Option(help="Folder of the spool.")] = DEFAULT_SPOOL,
    device: Annotated[str, typer.Option(help="Name of this edge.")] = "edge",
    drain_s: Annotated[float, typer.Option(min=0.0, help="Longest wait for the service.")] = 60.0,
) -> None:
    """Deliver what an earlier run left in its spool."""
    if not spool.is_dir():
        raise BadInput(f"there is no spool at '{spool}'; give --spool the folder of the run")
    sink = spool_sink(SiteId(site), log, spool, 1024, drain_s, device)
    sink.close()
    delivery = sink.delivery
    typer.echo(msgspec.json.encode(delivery).decode())
    if delivery is not None and (delivery.spooled or delivery.rejected):
        raise typer.Exit(1)


@app.command()
def fetch(
    model: Annotated[
        str, typer.Argument(help="yolox_nano (detector), vehicle-attributes or vehicle-plates (OpenVINO); all Apache-2.0.")
    ] = "yolox_nano",
    out: Annotated[Path | None, typer.Option(help="File to write; default: the model's own name, here.")] = None,
) -> None:
    """Fetch a model for real cameras from its publisher, and check its content."""
    from perception.fetch import fetch_all, weights_named

    for path, weights, is_new in fetch_all(weights_named(model), out):
        typer.echo(f"{path}: {'fetched' if is_new else 'was there'}, checked, {weights.licence}", err=True)


@app.command()
def simulate(
    site: Annotated[str, typer.Option(help="Folder of the site model, or the name of a packaged site.")],
    log: Annotated[str, typer.Option(help="Send observations to the service at this address; its key is in TWIN_API_KEY.")],
    seed: Annotated[int, typer.Option(help="Same seed, same traffic.")] = 1,
    profile: Annotated[str, typer.Option(help="clean, default or harsh noise.")] = "default",
    seconds: Annotated[float | None, typer.Option("--for", min=1.0, help="End after so many seconds.")] = None,
    spool: Annotated[Path, typer.Option(help="Folder for what the service has not taken yet.")] = DEFAULT_SPOOL,
    drain_s: Annotated[float, typer.Option(min=0.0, help="Longest wait at the end for the service.")] = 60.0,
    device: Annotated[str, typer.Option(help="Name of this edge; each edge of a site needs its own.")] = "simulated",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary on standard output.")] = False,
) -> None:
    """Simulated cameras of a site, in real time, as a real worker would send them."""
    from perception.synthetic.live import run_live
    from perception.synthetic.profiles import profile as profile_named

    model = load_site(resolve(site))
    noise, stopping = profile_named(profile), threading.Event()
    until_at = None if seconds is None else time_given("now") + round(seconds * 1_000_000)
    sink = spool_sink(model.name, log, spool, 1024, drain_s, device, Crossings(model))
    try:
        with _stopped_by(stopping.set):
            summary = run_live(
                model, sink, seed=seed, profile=noise, until_at=until_at, now=lambda: time_given("now"), stopping=stopping
            )
    finally:
        sink.close()
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    if sink.delivery is not None and (sink.delivery.spooled or sink.delivery.rejected):
        raise BadInput(f"{sink.delivery.spooled} observations wait in '{spool}', {sink.delivery.rejected} were refused")


def main() -> None:
    """Entry point: errors raised on purpose, and files that cannot be used, become one message and exit code 1."""
    try:
        app()
    except TwinError as wrong:
        typer.echo(f"perceive: {wrong}", err=True)
        sys.exit(1)
    except OSError as wrong:
        if wrong.filename is None:
            raise
        typer.echo(f"perceive: cannot use '{wrong.filename}': {wrong.strerror}", err=True)
        sys.exit(1)


def _runtime(text: str) -> Runtime:
    if text not in ("auto", "openvino", "onnxruntime"):
        raise BadInput(f"--runtime '{text}' is not known; it is auto, openvino or onnxruntime")
    return cast("Runtime", text)


@contextmanager
def _stopped_by(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM finish the run in order: what was seen is written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, stack: stop()) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


if __name__ == "__main__":
    main()
