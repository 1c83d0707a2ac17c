"""``twin rebuild``: views that are folds of the log, built from it again."""

from __future__ import annotations

from typing import Any

import typer

from twin.commands import AsJson, DataDir, SiteName, builtins, print_json, say, saying_how_far, settings, with_log
from twin.errors import BadInput

rebuild_app = typer.Typer(help="Views of the log, built from it again.", no_args_is_help=True)


@rebuild_app.callback()
def rebuild() -> None:
    """Views of the log, built from it again."""


@rebuild_app.command("search")
def rebuild_search(site: SiteName, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """A site's image search index, beside the old one and put in its place at the end; stop the service before."""
    told = settings(data_dir)
    if told.qdrant_url is not None:
        raise BadInput(
            "TWIN_QDRANT_URL is set, and this builds an index in a folder: delete the collections 'twin-…' at"
            f" {told.qdrant_url}, and start the service, which fills them from the log; or unset it"
        )

    async def build(logs: Any, model: Any) -> Any:
        from retrieval.opened import is_installed, missing

        if not is_installed():
            raise missing()
        from retrieval.rebuild import rebuild

        folder = told.data_dir / "search" / model.name
        return await rebuild(logs.log, logs.keys, folder, model.name, saying_how_far(f"{model.name}: observations read"))

    made = with_log(site, data_dir, build)
    if as_json:
        print_json({"schema": "twin.rebuild_search/1", **builtins(made)})
    else:
        say(f"{made.site}: the search index has {made.points} views of the log up to {made.cursor}")
    if made.after:
        say(f"{made.site}: views up to {made.after} were cut from the log, and are not in the index any more")
