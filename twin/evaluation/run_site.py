"""Which site a run is of, and what stays cost there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.errors import BadInput, NotFound
from twin.evaluation.grid import Ints
from twin.evaluation.run_tables import NEVER, Table, read_manifest
from twin.rules.tariff import TariffBook


def named_site(run: Path, site: str | None) -> str:
    """Folder or name of the run's site: the one given, else the run's own folder ``site``, else as its manifest says.

    Raises:
        BadInput: the run does not say.
    """
    own = run / "site"
    named = site or (own if own.is_dir() else read_manifest(run).get("site"))
    if not named:
        raise BadInput(f"run '{run}' does not say of which site it is; give --site")
    return str(named)


def site_of(run: Path, site: str | None, wanted_for: str) -> Site:
    """The site of a run.

    Args:
        site: as of ``named_site``.
        wanted_for: what is not known without it.

    Raises:
        BadInput: the run does not say, or it is not found.
        SiteFault: the site is faulty.
    """
    try:
        return load_site(resolve(named_site(run, site)))
    except NotFound as wrong:
        raise BadInput(f"{wanted_for} of run '{run}' are not known: {wrong}; give --site with the site's folder") from None


def dues_of(run: Path, visits: Table, site: str | None) -> Ints | None:
    """(V,) what each true stay costs, in minor units; ``NEVER`` where it is not over or began before the period.

    As the table says, else by the site's tariffs; None where neither is known.
    """
    if "amount_minor" in visits:
        return visits["amount_minor"]
    try:
        tariffs = TariffBook.of(site_of(run, site, "dues").tariffs)
    except BadInput:
        if site is not None:
            raise
        return None
    dues = np.full(len(visits["vehicle"]), NEVER, dtype=np.int64)
    for row, (entry_t, exit_t) in enumerate(zip(visits["entry_t"].tolist(), visits["exit_t"].tolist(), strict=True)):
        pricing = None if NEVER in (entry_t, exit_t) else tariffs.held_at(entry_t)
        if pricing is not None:
            dues[row] = pricing.amount_minor(entry_t, exit_t)
    return dues if (dues != NEVER).any() else None
