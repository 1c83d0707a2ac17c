"""``twin eval robustness``: what is left of each figure when cameras, frames, clocks or pictures are worse.

A run's own observations are fused as they are and degraded; a folder of clips is also seen again with corrupted pictures.
Every ratio is that of a figure to the same figure of the clean observations of the same seconds and cameras.
"""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from site_models.schema import Camera
from twin.errors import BadInput, TwinError
from twin.evaluation.degraded import DEGRADATIONS, NEED_TWO_CAMERAS, only
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.robustness_source import Source, corruptions, has_clips, source_of_clips, source_of_run
from twin.evaluation.scores import evaluate
from twin.evaluation.truth_until import write_truth_until
from twin.events.envelope import ObservationEvent
from twin.events.ids import CameraId, Micros

RATIOS = ("hota", "idf1", "session_precision", "session_recall", "exact_stay", "stall_minutes")
"""Figures of which more is better, so that a ratio says what is left."""
IMAGE = "image_"
CLEAN = "clean"
_CLOCKS_S = 5.0  # more than cameras' clocks are off in any noise profile: what is there is known by them

Values = Mapping[str, Mapping[str, float | None]]
"""Figures as the scores list them: value, lo95, hi95."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How much is tried.

    Attributes:
        seconds: of the beginning; None: all of a run, a minute of clips.
        n_cameras: the first so many, by name; None: all.
        only: names of degradations; none: all that the run allows.
        site: folder or name; None: as the run says.
        out: where the degraded runs are kept; None: nowhere.
    """

    seed: int = 1
    seconds: float | None = None
    n_cameras: int | None = None
    only: tuple[str, ...] = ()
    site: str | None = None
    out: Path | None = None


def robustness(run: Path, asked: Asked, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """The report, of the schema ``twin.eval/1``; ``metrics`` are ratios to clean, ``conditions`` the figures behind them.

    Args:
        run: a run folder with observations and truth, or a site's folder of clips.

    Raises:
        BadInput: neither is there, or an unknown degradation, or more seconds or cameras than there are, are asked for.
    """
    is_clips = has_clips(run)
    names = _names(asked.only, is_clips=is_clips)
    source = source_of_clips(run, asked.site, asked.seconds, asked.seed) if is_clips else source_of_run(run, asked.site)
    _check_there(run, source, asked)
    names = _possible(names, source, asked, say)
    found, n_clean = dict[str, Values](), 0
    with nullcontext(str(asked.out)) if asked.out else tempfile.TemporaryDirectory() as out:
        for name in (CLEAN, *names):
            n, figures = _figures(_made(source, asked, name, Path(out)), run, source.site_name)
            n_clean = n_clean or n
            found[name] = figures
            say(f"{name}: " + ", ".join(f"{of} {_number(one['value'])}" for of, one in figures.items()))
    clean = found.pop(CLEAN)
    return {
        "schema": "twin.eval/1",
        "kind": "robustness",
        "n": n_clean,
        "metrics": {f"{of}_ratio_{name}": ratio(one.get(of), clean[of]) for name, one in found.items() for of in clean},
        "worst": _worst(run, asked, clean, found),
        "conditions": {CLEAN: clean, **found},
    }


def robustness_text(report: Mapping[str, Any]) -> str:
    """The report for reading: the clean figures, then what is left of each."""
    clean = report["conditions"][CLEAN]
    rows = {"": list(clean), CLEAN: [_number(one["value"]) for one in clean.values()]}
    for name in report["conditions"]:
        if name != CLEAN:
            rows[name] = [_percent(report["metrics"][f"{of}_ratio_{name}"]["value"]) for of in clean]
    lines = [f"robustness, n {report['n']:,}"]
    lines += [f"  {name:22}" + "".join(f"{cell:>19}" for cell in cells) for name, cells in rows.items()]
    for case in report["worst"][:5]:
        lines += [f"{case['case']}: {_percent(case['ratio'])} of {case['metric']}", f"  {case['replay']}"]
    return "\n".join(lines) + "\n"


def ratio(worse: Mapping[str, float | None] | None, clean: Mapping[str, float | None]) -> dict[str, float | None]:
    """A figure over its clean value.

    The interval takes the two as independent, though they are of the same vehicles, so it is rather too wide.
    """
    nothing: dict[str, float | None] = {"value": None, "lo95": None, "hi95": None}
    if worse is None or worse["value"] is None or not clean["value"]:
        return nothing
    value = worse["value"] / clean["value"]
    below = _spread(worse, clean, "lo95", "hi95")
    above = _spread(worse, clean, "hi95", "lo95")
    ends = {"value": value, "lo95": max(0.0, value - below), "hi95": value + above}
    return {name: round(one, 6) for name, one in ends.items()}


def _spread(worse: Mapping[str, Any], clean: Mapping[str, Any], of_worse: str, of_clean: str) -> float:
    """How far the ratio reaches one way: first-order, the two errors in quadrature."""
    a = (worse[of_worse] - worse["value"]) / clean["value"]
    b = (clean[of_clean] - clean["value"]) * worse["value"] / clean["value"] ** 2
    return math.hypot(a, b)


def _names(only_these: Sequence[str], *, is_clips: bool) -> list[str]:
    known = [*DEGRADATIONS, *([IMAGE + name for name in corruptions()] if is_clips else [])]
    for name in only_these:
        if name.startswith(IMAGE) and not is_clips:
            raise BadInput(f"'{name}' wants pictures, and a run has none; give a folder of clips instead")
        if name not in known:
            raise BadInput(f"degradation '{name}' is not known; use one of {', '.join(known)}")
    return list(only_these or known)


def _check_there(run: Path, source: Source, asked: Asked) -> None:
    if asked.seconds is not None and asked.seconds > source.length_s + _CLOCKS_S:
        there = f"the {source.length_s:.1f} s that '{run}' has"
        raise BadInput(f"--seconds {asked.seconds:g} is more than {there}; ask for less, or leave it out")
    n_there = len(source.cameras)
    if not n_there:
        raise BadInput(f"'{run}' has no frame of a camera of site '{source.site_name}'; give the --site that it is of")
    if asked.n_cameras is not None and asked.n_cameras > n_there:
        raise BadInput(f"--cameras {asked.n_cameras} is more than the {n_there} of '{run}'; ask for fewer, or leave it out")


def _possible(names: list[str], source: Source, asked: Asked, say: Callable[[str], None]) -> list[str]:
    """The degradations without those of cameras that are out, where there is but one and it cannot be."""
    if len(_first(source.cameras, asked.n_cameras)) > 1 or not (out := [name for name in names if name in NEED_TWO_CAMERAS]):
        return names
    why = "of one camera none can be out and leave something to look at"
    if asked.only:
        raise BadInput(f"'{out[0]}' cannot be tried: {why}; ask for two --cameras at least, or for another degradation")
    say(f"left out: {', '.join(out)}, as {why}")
    return [name for name in names if name not in out]


def _made(source: Source, asked: Asked, name: str, out: Path) -> Path:
    """The run of a degradation, fused."""
    cameras = [camera.id for camera in _first(source.cameras, asked.n_cameras)]
    run = out / name
    run.mkdir(parents=True, exist_ok=True)
    until_at = write_truth_until(source.truth, run, source.seconds or asked.seconds, source.shift_us)
    corruption = name.removeprefix(IMAGE) if name.startswith(IMAGE) else None
    seen = source.observations(corruption, frozenset(cameras), out)
    fuse_run(source.site, seen, run, changed=lambda events: _degraded(events, name, cameras, until_at, asked.seed))
    return run


def _degraded(
    events: Iterable[ObservationEvent], name: str, cameras: Sequence[CameraId], until_at: Micros | None, seed: int
) -> Iterator[ObservationEvent]:
    kept = only(events, frozenset(cameras), until_at)
    return DEGRADATIONS[name](kept, cameras, seed) if name in DEGRADATIONS else kept


def _first(cameras: Sequence[Camera], n: int | None) -> list[Camera]:
    return sorted(cameras, key=lambda one: one.id)[:n]


def _figures(made: Path, run: Path, site_name: str) -> tuple[int, Values]:
    """How many true samples there are, and the figures that a ratio is made of; what cannot be scored is left out.

    Raises:
        BadInput: not even tracking can be scored; it names the run that was given, and not what was made of it.
    """
    n, found = 0, dict[str, Any]()
    for kind in ("tracking", "sessions", "stalls"):
        try:
            report = evaluate(kind, [made], site_name)
        except TwinError as wrong:
            if kind == "tracking":
                raise BadInput(str(wrong).replace(str(made), str(run))) from None
            continue
        n = report["n"] if kind == "tracking" else n
        found |= report["metrics"]
    return n, {name: found[name] for name in RATIOS if name in found}


def _worst(run: Path, asked: Asked, clean: Values, found: Mapping[str, Values]) -> list[dict[str, Any]]:
    """Every condition's figure, that of which least is left first."""
    cases = list[dict[str, Any]]()
    for name, figures in found.items():
        for of in clean:
            left = ratio(figures.get(of), clean[of])["value"]
            if left is not None and left < 1.0:
                values = {"ratio": left, "clean": clean[of]["value"], "degraded": figures[of]["value"]}
                cases.append({"case": name, "run": str(run), "metric": of, **values, "replay": _replay(run, asked, name)})
    return sorted(cases, key=lambda case: (case["ratio"], case["case"], case["metric"]))[:20]


def _replay(run: Path, asked: Asked, name: str) -> str:
    words = ["twin", "eval", "robustness", str(run), "--only", name, "--seed", str(asked.seed)]
    words += ["--seconds", f"{asked.seconds:g}"] if asked.seconds is not None else []
    words += ["--cameras", str(asked.n_cameras)] if asked.n_cameras is not None else []
    words += ["--site", asked.site] if asked.site is not None else []
    return shlex.join(words)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"
