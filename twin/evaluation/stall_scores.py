"""``twin eval stalls``: for how much of the time is each stall shown as it is?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from site_models.schema import Site
from twin.errors import BadInput, CodecError, NotFound
from twin.evaluation.figures import Sums
from twin.evaluation.grid import GRID_US, Floats, Ints, grid_of, longest_run
from twin.evaluation.run_site import site_of
from twin.evaluation.run_tables import Table, read_table
from twin.evaluation.scored import Case, Scored
from twin.events.codec import from_json, rfc3339
from twin.events.envelope import FactEvent
from twin.events.facts import StallChanged
from twin.events.ids import SECOND, Micros
from twin.spatial.zones import SiteMap

STATES = ("free", "occupied", "unknown")
_FREE, _OCCUPIED, _UNKNOWN = range(3)
_MINUTE = 60 * SECOND
_CASES = 10
_AROUND: Micros = 300 * SECOND


class Change(NamedTuple):
    """From a time on, a stall is in a state, with a vehicle or none."""

    at: Micros
    stall: str
    state: int
    vehicle: str | None


def stalls(run: Path, site: str | None = None) -> Scored:
    """The share of stall-minutes with the right state.

    Args:
        site: folder or name; None: the run's own folder ``site``, else as its manifest says.

    Raises:
        BadInput: a table is absent or faulty, the site is not known or has no stall, or the truth names one that it lacks.
    """
    grid, names, true, told = _states(run, _site(run, site))
    right = (true == told).sum(axis=1) * (GRID_US / _MINUTE)
    parts = np.column_stack([right, np.full(len(names), len(grid) * (GRID_US / _MINUTE))])
    figure = Sums(parts=parts, figure=_share, n=round(float(parts[:, 1].sum())))
    return Scored(n=figure.n, figures={"stall_minutes": figure}, cases=_cases(grid, names, true, told))


def stall_case(run: Path, stall: str, around: Micros, site: str | None = None) -> dict[str, Any]:
    """What a stall was and was shown as in the five minutes before and after a time.

    Raises:
        NotFound: the site has no such stall.
        BadInput: as ``stalls``.
    """
    model = _site(run, site)
    if stall not in {one.id for one in model.stalls}:
        raise NotFound(f"site '{model.name}' has no stall '{stall}'; check the name")
    sources = {"true": _true_changes(read_table(run, "truth")), "told": _told_changes(run, model)}
    told = [(change, who) for who, changes in sources.items() for change in changes if change.stall == stall]
    told = [one for one in sorted(told, key=lambda one: one[0].at) if abs(one[0].at - around) <= _AROUND]
    changes = [{"at": rfc3339(one.at), "who": who, "state": STATES[one.state], "vehicle": one.vehicle} for one, who in told]
    grid, names, *states = _states(run, model)
    now = int(np.clip(np.searchsorted(grid, around), 0, len(grid) - 1))
    true, shown = (STATES[one[names.index(stall), now]] for one in states)
    return {"schema": "twin.case/1", "run": str(run), "stall": stall, "around": rfc3339(around)} | {
        "true": true,
        "told": shown,
        "changes": changes,
    }


def stall_text(shown: Mapping[str, Any]) -> str:
    """The case for reading."""
    lines = [f"stall '{shown['stall']}' at {shown['around']}: {shown['true']}, shown as {shown['told']}"]
    lines += [f"  {one['at']}  {one['who']}: {one['state']} {one['vehicle'] or ''}".rstrip() for one in shown["changes"]]
    return "\n".join(lines) + "\n"


def _site(run: Path, site: str | None) -> Site:
    model = site_of(run, site, "the stalls")
    if not model.stalls:
        raise BadInput(f"site '{model.name}' has no stalls, so there is nothing to score")
    return model


def _states(run: Path, site: Site) -> tuple[Ints, list[str], Any, Any]:
    """The grid, the stalls, and (stalls, moments) true and shown states."""
    truth = read_table(run, "truth")
    grid, names = grid_of(truth), sorted(str(stall.id) for stall in site.stalls)
    true_changes = _true_changes(truth)
    if strange := {one.stall for one in true_changes} - set(names):
        raise BadInput(
            f"the truth of run '{run}' has the stall '{min(strange)}', which site '{site.name}' lacks; give its own --site"
        )
    return grid, names, _filled(true_changes, names, grid, _FREE), _filled(_told_changes(run, site), names, grid, _UNKNOWN)


def _true_changes(truth: Table) -> list[Change]:
    return _parked_changes(truth, [str(one) or None for one in truth["stall"]])


def _told_changes(run: Path, site: Site) -> list[Change]:
    """From the facts; where a run has none, from who is parked where, and then every stall is free until somebody is."""
    if (path := run / "facts.jsonl").exists():
        return _fact_changes(path)
    tracks, site_map = read_table(run, "tracks"), SiteMap(site)
    start = int(tracks["t"].min()) if len(tracks["t"]) else 0
    columns = zip(tracks["state"], tracks["level"], tracks["x_m"], tracks["y_m"], strict=True)
    inside = [site_map.stall_at(str(level), x, y) if state == "parked" else None for state, level, x, y in columns]  # pyright: ignore[reportArgumentType]
    first = [Change(start, str(stall.id), _FREE, None) for stall in site.stalls] if len(inside) else []
    return first + _parked_changes(tracks, [None if one is None else str(one) for one in inside])


def _parked_changes(table: Table, inside: list[str | None]) -> list[Change]:
    """Who parks makes a stall occupied, and driving on makes it free, unless another stands there by then."""
    place, holder, found = dict[str, str | None](), dict[str, str](), list[Change]()
    columns = zip(table["t"].tolist(), table["vehicle"].tolist(), table["state"].tolist(), inside, strict=True)
    moments = [(t, vehicle, stall if state == "parked" else None) for t, vehicle, state, stall in columns]
    for t, vehicle, stall in sorted(moments, key=lambda one: one[0]):
        before = place.get(vehicle)
        if before == stall:
            continue
        if before is not None and holder.get(before) == vehicle:
            del holder[before]
            found.append(Change(t, before, _FREE, None))
        if stall is not None:
            holder[stall] = vehicle
            found.append(Change(t, stall, _OCCUPIED, vehicle))
        place[vehicle] = stall
    return found


def _fact_changes(path: Path) -> list[Change]:
    """``stall.changed.v1`` facts in the order of their times; superseded ones are left out."""
    facts, superseded = dict[str, tuple[int, int, Change]](), set[str]()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if b'"stall.changed.v1"' not in line and b'"supersedes"' not in line:
                continue
            try:
                event = from_json(line)
            except CodecError as wrong:
                raise BadInput(f"{path}:{number}: {wrong}; write the run again") from None
            if isinstance(event, FactEvent):
                superseded.update(event.supersedes)
                if isinstance(told := event.payload, StallChanged):
                    change = Change(event.occurred_at, told.stall, STATES.index(told.state), told.vehicle)
                    facts[event.id] = (event.occurred_at, number, change)
    kept = [fact for name, fact in facts.items() if name not in superseded]
    return [change for *_, change in sorted(kept, key=lambda one: one[:2])]


def _filled(changes: Iterable[Change], names: list[str], grid: Ints, first: int) -> Any:
    states = np.full((len(names), len(grid)), first, dtype=np.int8)
    row = {name: number for number, name in enumerate(names)}
    for change in changes:
        if change.stall in row:
            states[row[change.stall], np.searchsorted(grid, change.at) :] = change.state
    return states


def _share(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def _cases(grid: Ints, names: list[str], true: Any, told: Any) -> list[Case]:
    wrong = (true != told).sum(axis=1)
    found = list[Case]()
    for number in np.argsort(-wrong, kind="stable")[:_CASES]:
        if wrong[number]:
            first = longest_run(np.flatnonzero(true[number] != told[number]))
            minutes = float(wrong[number]) * GRID_US / _MINUTE
            fields = {
                "minutes": round(minutes, 3),
                "true": STATES[true[number, first]],
                "told": STATES[told[number, first]],
            }
            at = int(grid[first])
            found.append(Case(case="wrong stall", vehicle=None, stall=names[number], at=at, weight=60 * minutes, fields=fields))
    return found
