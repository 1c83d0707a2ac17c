"""``twin learn``: what a site's own past teaches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.commands import AsJson, DataDir, builtins, print_json, say, settings
from twin.errors import BadInput
from twin.events.ids import SiteId

if TYPE_CHECKING:
    from retrieval.weights import Weights

learn_app = typer.Typer(help="What a site's own past teaches.", no_args_is_help=True)


@learn_app.callback()
def learn() -> None:
    """What a site's own past teaches."""


@learn_app.command("search")
def learn_search(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUN…]", help="Run folders; absent: the site's log.")] = None,
    site: Annotated[str | None, typer.Option("--site", help="Of the log, or of runs that do not say theirs.")] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.1, help="Of the log: its last so many.")] = 24.0,
    own: Annotated[bool, typer.Option("--own", help="Of runs: by the twin's own vehicles, not by the truth.")] = False,
    only_looks: Annotated[
        bool, typer.Option("--only-looks", help="Of runs: of their embedders alone; what else is known is worth as before.")
    ] = False,
    draws: Annotated[
        int, typer.Option("--draws", min=1, max=20, help="Of runs: draw vehicles to ask for so often; several of short runs.")
    ] = 1,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Of runs: what is known before; absent: the weights of this release.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; absent, of a log: where the service reads it.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """The weights of image search: what looks, places and times are worth for ranking; read when the service starts."""
    from retrieval.weights_file import PACKAGED, load_weights, save_weights, weights_path

    if runs:
        from twin.evaluation.run_site import site_of
        from twin.evaluation.search_learning import learned_from_runs

        if out is None:
            raise BadInput("weights of runs are not a site's own; say with --out where to write them")
        before = PACKAGED if weights is None else load_weights(weights)
        chosen: dict[str, Any] = {"own_identities": own, "only_looks": only_looks, "draws": draws}
        learned = learned_from_runs(lambda run: site_of(run, site, "cameras' views"), runs, before, **chosen)
    else:
        if site is None:
            raise BadInput("give --site to learn from its log, or run folders")
        if only_looks or draws > 1 or weights is not None or own:
            raise BadInput("--own, --only-looks, --draws and --weights are of run folders; give some, or leave them out")
        learned = _of_log(site, data_dir, hours)
        out = out or weights_path(settings(data_dir).data_dir, SiteId(_name(site)))
    save_weights(learned, out)
    if as_json:
        print_json(
            {"schema": "twin.learn_search/1", "version": learned.version, "file": str(out), "weights": builtins(learned)}
        )
    else:
        say(f"weights {learned.version}, learned from {learned.learned_from}, in {out}")


def _name(site: str) -> str:
    from site_models.load import load_site, resolve

    return load_site(resolve(site)).name


def _of_log(site: str, data_dir: Path | None, hours: float) -> Weights:
    from retrieval.weights_file import site_weights
    from site_models.load import load_site, resolve
    from twin.evaluation.search_learning import learned_from_observations, observed
    from twin.opened_logs import opened_logs

    model, told = load_site(resolve(site)), settings(data_dir)

    async def read(path: Path) -> None:
        async with opened_logs(told, read_only=True) as logs:
            await observed(logs.log, logs.keys, model, hours, path)

    return learned_from_observations(model, lambda path: asyncio.run(read(path)), site_weights(told.data_dir, model.name))
