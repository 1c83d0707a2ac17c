"""The ``twin`` command. Each subcommand reads its options, calls one part, and prints what it answers."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import twin.threads  # noqa: F401  before anything imports numpy
from twin.calibrate_cli import calibrate
from twin.commands import (
    AsJson,
    DataDir,
    SiteName,
    announcing,
    builtins,
    database_trouble,
    micros_of,
    print_json,
    say,
    saying_how_far,
    served,
    settings,
    with_log,
)
from twin.doctor_cli import doctor
from twin.errors import BadInput, TwinError
from twin.eval_cli import evaluate
from twin.key_cli import key_app
from twin.learn_cli import learn_app
from twin.log_cli import backup, db_app, log_app, restore
from twin.rebuild_cli import rebuild_app
from twin.refuse_cli import refuse
from twin.structured_logging import set_up_logging

app = typer.Typer(
    help="The twin service: what is true on a site, and what was known when.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
site_app = typer.Typer(help="Site models.", no_args_is_help=True)
app.add_typer(site_app, name="site")
app.add_typer(log_app, name="log")
app.add_typer(db_app, name="db")
app.add_typer(rebuild_app, name="rebuild")
app.add_typer(key_app, name="key")
app.add_typer(learn_app, name="learn")
app.command()(backup)
app.command()(restore)
app.command("eval")(evaluate)
app.command()(refuse)
app.command()(doctor)
app.command()(calibrate)

At = Annotated[str | None, typer.Option("--at", help="Valid time, RFC 3339. Absent: everything known.")]
Served = Annotated[
    list[str] | None, typer.Option("--site", help="A site's folder or name; may be given several times (TWIN_SITE_DIRS).")
]
Out = Annotated[Path, typer.Option("--out", help="The run folder to write.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP port; 0 takes a free one.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on; others than loopback need TWIN_ACCESS=keys.")]


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="End by itself after so many seconds.")] = None,
    as_json: AsJson = False,
    site: Annotated[str, typer.Option("--site", help="A site with clips, or any site with --simulated.")] = "demo_lot",
    simulated: Annotated[bool, typer.Option("--simulated", help="No video: simulated cameras, on less computer.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="With --simulated: same seed, same traffic.")] = 1,
    profile: Annotated[str, typer.Option("--profile", help="With --simulated: clean, default or harsh noise.")] = "default",
    port: Port = 8600,
    data_dir: DataDir = None,
) -> None:
    """Cameras of a car park, read by our own models, the service and its map, on this machine alone."""
    from twin.demo import Simulated, run_demo

    source = Simulated(seed, profile) if simulated else None
    summary = run_demo(settings(data_dir, port=port), site=site, simulated=source, seconds=seconds, say=say)
    if as_json:
        print_json(summary)


@app.command()
def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="Of ops/bench: fusion, fusion_quality, gate, live, log, map, noise, perception, search, storage, "
            "timetravel, traffic."
        ),
    ],
    as_json: AsJson = False,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Alternating repeats; the median counts.")] = 5,
) -> None:
    """Measure against a peer, a raw bound or what was asked for, in one run."""
    from twin.evaluation.benches import bench_text, run_bench

    report = run_bench(name, repeats)
    if as_json:
        print_json(report)
    else:
        typer.echo(bench_text(name, report), nl=False)


@app.command()
def prove(
    promises: Annotated[list[str], typer.Argument(help="Of the guarantees: G1, G2, …")],
    runs: Annotated[int | None, typer.Option("--runs", min=1, help="Absent: a short proof of each.")] = None,
    full: Annotated[bool, typer.Option("--full", help="As many runs as the guarantee states; hours.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first run; the others follow.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Try to refute promises; exit 0 if all held, 1 if one was refuted, 2 if a control was not and so proves nothing."""
    from twin.evaluation.proofs import module, prove

    for name in promises:
        module(name.upper())
    worst = 0
    for name in promises:
        proof = prove(name, runs, seed, is_full=full)
        if as_json:
            print_json(builtins(proof))
        say(
            f"{proof.promise}: {proof.violations} violations in {proof.runs} runs, {proof.seconds} s; control: "
            f"{proof.control.violations} with {proof.control.name}"
        )
        for failure in proof.failures:
            say(f"{failure.replay}: {failure.what}")
        worst = {0: worst, 1: 1, 2: worst or 2}[proof.exit_code]
    if worst:
        raise typer.Exit(worst)


@app.command()
def serve(
    site: Served = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="TCP port (TWIN_PORT, else 8600).")] = None,
) -> None:
    """The service: ingest, fusion, reads, live feed, map and search."""
    from twin.main import load_sites, serve_sites

    told = settings(data_dir, host=host, port=port)
    asyncio.run(serve_sites(told, load_sites(served(site, told)), announce=announcing(told)))


@app.command()
def work(
    site: Served = None,
    data_dir: DataDir = None,
) -> None:
    """A fusion worker beside others: folds those of the sites that the broker's consumer group gives it."""
    from twin.main import load_sites, work_on_sites

    told = settings(data_dir)
    asyncio.run(work_on_sites(told, load_sites(served(site, told)), announce=announcing(told)))


@app.command()
def fuse(
    site: SiteName,
    observations: Annotated[Path, typer.Option("--observations", help="observations.jsonl or .jsonl.zst")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Fuse a file of observations offline into a run folder."""
    from site_models.load import load_site, resolve
    from twin.evaluation.fuse_run import fuse_run

    summary = fuse_run(load_site(resolve(site)), observations, out)
    if as_json:
        print_json(summary)
    else:
        say(f"{summary['observations']} observations gave {summary['facts']} facts and {summary['sessions']} sessions in {out}")


@app.command()
def at(
    site: SiteName,
    at: At = None,
    known_at: Annotated[str | None, typer.Option("--known-at", help="A fact position, or a time.")] = None,
    data_dir: DataDir = None,
) -> None:
    """The site's state at a time, as known at a position: canonical JSON on one line."""

    async def read(logs: Any, model: Any) -> Any:
        from twin.opened_maps import known
        from twin.projections.moment import read_moment
        from twin.projections.timeline import Timeline

        moment = await read_moment(logs.log, model.name, at=at, known_at=known_at)
        timeline = Timeline(logs.log, model, earlier=await known(logs, model))
        return await timeline.as_known(None if known_at is None else moment.known_at).state(moment.at, moment.known_at)

    print_json(with_log(site, data_dir, read))


@app.command()
def replay(
    site: SiteName,
    until_position: Annotated[int | None, typer.Option("--until-position", min=0, help="Last fact position to fold.")] = None,
    at: At = None,
    check: Annotated[bool, typer.Option("--check", help="Re-fold all observations and compare every fact.")] = False,
    data_dir: DataDir = None,
) -> None:
    """The same state by the naive fold of every fact; or, with --check, a proof that the facts follow from the observations."""
    if check and (until_position is not None or at is not None):
        raise BadInput("--check compares the whole log; leave out --until-position and --at")

    async def read(logs: Any, model: Any) -> Any:
        from twin.opened_maps import known
        from twin.projections.naive import replay
        from twin.projections.timeline import map_in_force
        from twin.rules.fold import Fold
        from twin.service import check as check_facts

        if check:
            checked = await check_facts(logs.log, logs.keys, Fold(model), saying_how_far(f"{model.name}: observations folded"))
            return {"site": model.name, "is_equal": True, **builtins(checked)}
        then = map_in_force(model, await known(logs, model), until_position)
        return await replay(logs.log, then, at=None if at is None else micros_of(at, "--at"), known_at=until_position)

    print_json(with_log(site, data_dir, read))


@app.command()
def simulate(
    site: SiteName,
    out: Out,
    traffic: Annotated[str, typer.Option("--traffic", help="own, or sumo (needs the sumo extra)")] = "own",
    profile: Annotated[str, typer.Option("--profile", help="clean, default or harsh")] = "default",
    seed: Annotated[int, typer.Option("--seed")] = 1,
    hours: Annotated[float, typer.Option("--hours", min=0.001)] = 1.0,
    start_at: Annotated[str, typer.Option("--start-at", help="First moment, RFC 3339.")] = "2026-01-05T06:00:00Z",
    plates: Annotated[
        float, typer.Option("--plates", min=0.0, max=1.0, help="Share of well shown plates that are read.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Observations of simulated traffic, with the truth beside them."""
    from perception.synthetic.run_files import write_run
    from site_models.load import load_site, resolve

    model = load_site(resolve(site))
    started = micros_of(start_at, "--start-at")
    summary = write_run(model, profile, seed, hours, out, started, traffic=traffic, plates=plates)
    if as_json:
        print_json(builtins(summary))
    else:
        say(f"{hours} h of '{model.name}', profile {profile}, seed {seed}, in {out}")


@site_app.command("check")
def site_check(folder: Annotated[str, typer.Argument(metavar="DIR")], as_json: AsJson = False) -> None:
    """Every fault of a site model, with its file and feature; exits 1 if there is one."""
    from site_models.load import check_site, resolve

    site, faults = check_site(resolve(folder))
    if as_json:
        counts = {} if site is None else {name: len(getattr(site, name)) for name in _COUNTED}
        print_json({"schema": "twin.site_check/1", "site": site.name if site else None, "faults": faults, "counts": counts})
    elif site is not None and not faults:
        say(f"site '{site.name}' is sound: " + ", ".join(f"{len(getattr(site, name))} {name}" for name in _COUNTED))
    else:
        for fault in faults:
            say(fault)
    if faults:
        raise typer.Exit(1)


@site_app.command("new")
def site_new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; its name is the site's.")],
    at: Annotated[str, typer.Option("--at", help="LATITUDE,LONGITUDE of its south-west corner, degrees.")],
    camera: Annotated[
        list[str],
        typer.Option("--camera", help="NAME=WIDTHxHEIGHT of a camera's frames, pixels; repeat it.", show_default=False),
    ],
    bearing: Annotated[float, typer.Option("--bearing", help="Compass bearing of 'up' on its plan, degrees.")] = 0.0,
    size: Annotated[float, typer.Option("--size", min=5, max=2_000, help="Side of its ground, metres.")] = 60.0,
) -> None:
    """A site of your own to begin from: its ground and its cameras, which then are calibrated; zones and lanes are drawn."""
    from site_models.begin import begin_in

    site = begin_in(folder, at, camera, bearing_deg=bearing, size_m=size)
    say(f"site '{site.name}' in {folder}: where its cameras stand is a guess. Next, see ops/docs/first-camera.md:")
    say(f"  twin serve --site {folder}")
    say(f"  perceive run --site {folder} --video {site.cameras[0].id}=rtsp://… --detector yolox_nano.onnx --pictures \\")
    say("               --log http://127.0.0.1:8600 --spool twin-data/spool")
    say(f"  http://127.0.0.1:8600/calibrate?site={site.name}&camera={site.cameras[0].id}, then /edit?site={site.name}")


@site_app.command("generate")
def site_generate(
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    cameras: Annotated[int, typer.Option("--cameras", min=1)] = 8,
    stalls: Annotated[int, typer.Option("--stalls", min=1)] = 60,
    levels: Annotated[int, typer.Option("--levels", min=1)] = 1,
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, max=1, help="Share of a view that its neighbour sees too.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """A car park with so many cameras, stalls and levels, always valid."""
    from site_models.dump import dump_site
    from site_models.generate import generate

    site = generate(n_cameras=cameras, n_stalls=stalls, n_levels=levels, overlap=overlap, seed=seed)
    dump_site(site, out)
    say(f"site '{site.name}' with " + ", ".join(f"{len(getattr(site, name))} {name}" for name in _COUNTED) + f" in {out}")


_COUNTED = ("levels", "zones", "stalls", "lanes", "portals", "landmarks", "cameras")


def main() -> None:
    """Run the command; an error raised on purpose, or a file or database that cannot be used, is one message, exit 1."""
    if sys.stderr is not None:  # it may have been closed
        faulthandler.enable()  # a page of a mapped file that a full disk cannot hold ends the process: say where
    set_up_logging("WARNING", "text")
    try:
        app()
    except TwinError as wrong:
        print(f"twin: {wrong}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except OSError as wrong:
        if wrong.filename is None:
            raise
        print(f"twin: cannot use '{wrong.filename}': {wrong.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as wrong:
        told = database_trouble(wrong)
        if told is None:
            raise
        print(f"twin: {told}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
