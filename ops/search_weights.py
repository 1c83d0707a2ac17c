"""The weights of image search that come with a release, made again from nothing: ``python -m ops.search_weights --work DIR``.

Simulated sites teach what places and times are worth, and their embedder's looks; clips of ``demo_lot``, filmed of other seeds
than those that it brings along and looked at by our own models, what the embeddings of tracklets vary by that a worker cuts
out. What is there in DIR already is used again, so that what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from perception.clips import Clips
from perception.synthetic.render.clip_folder import write_clips
from perception.synthetic.run_files import write_run
from retrieval.weights import Weights
from retrieval.weights_file import load_weights, save_weights
from site_models.dump import dump_site
from site_models.generate import generate
from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.errors import TwinError
from twin.evaluation.clip_observations import perceived
from twin.evaluation.run_site import site_of
from twin.evaluation.search_learning import learned_from_runs
from twin.events.codec import micros

PACKAGED = Path(__file__).resolve().parent.parent / "retrieval" / "weights.json"
START_AT = micros("2026-01-05T06:00:00Z")
SIMULATED = tuple(range(501, 506))
"""Seeds of simulated sites; those from 601 on are what is learned is scored on."""
FILMED = (31, 32, 33)
"""Seeds of clips; 3 is of those that ``demo_lot`` brings along, 21 to 23 are what tracking is scored on."""
FILMED_SITE = "demo_lot"
HOURS, SECONDS, FPS = 0.5, 150, 6
DRAWS = 4
"""Of vehicles to ask for in each run of clips, in which a third of them is not many."""
DESCRIBED_BY: tuple[Literal["embedder", "colours"], ...] = ("colours", "embedder")


def simulated(work: Path, seed: int) -> Path:
    """The run of a simulated site: eight cameras, 60 stalls, on two levels where four divides the seed."""
    run = work / f"simulated-{seed}"
    if not (run / "visits.parquet").exists():
        site = generate(n_cameras=8, n_stalls=60, n_levels=1 if seed % 4 else 2, overlap=0.2, seed=seed)
        dump_site(site, run / "site")
        write_run(site, "default", seed, HOURS, run, START_AT)
        _say(f"{run.name}: simulated")
    return run


def filmed(work: Path, seed: int, processes: int) -> Path:
    """A folder of clips of ``demo_lot`` by day."""
    folder = work / f"clips-{seed}"
    if not (folder / "clips.toml").exists():
        write_clips(load_site(resolve(FILMED_SITE)), folder, SECONDS, FPS, seed, "day", 0.0, processes, _say)
    return folder


def looked_at(work: Path, clips: Path, described_by: Literal["embedder", "colours"] = "embedder") -> Path:
    """The run of a folder of clips that our own models look at."""
    run = work / f"{clips.name}-{described_by}"
    if not (run / "visits.parquet").exists():
        folder = resolve(FILMED_SITE)
        site = load_site(folder)
        dump_site(site, run / "site")
        seen, found = Clips(clips, site), run / "observations.jsonl.zst"
        perceived(str(folder), seen, seen.cameras, SECONDS, 0, found, None, 1, described_by=described_by)
        for name in ("truth.parquet", "visits.parquet"):
            shutil.copyfile(clips / name, run / name)
        _say(f"{run.name}: looked at")
    return run


def learned(work: Path, processes: int) -> Weights:
    """What evidence is worth, from simulated sites; then what embeddings of pictures vary by, and how sure they make."""
    runs = [simulated(work, seed) for seed in SIMULATED]
    weights = learned_from_runs(_site_of, runs, Weights(), own_identities=False)
    clips = [filmed(work, seed, processes) for seed in FILMED]
    for described_by in DESCRIBED_BY:
        runs = [looked_at(work, folder, described_by) for folder in clips]
        weights = learned_from_runs(_site_of, runs, weights, own_identities=False, only_looks=True, draws=DRAWS)
    return weights


def looks_learned(work: Path, processes: int, before: Weights) -> Weights:
    """The same of our own embedder's pictures alone; all else as before."""
    runs = [looked_at(work, filmed(work, seed, processes)) for seed in FILMED]
    return learned_from_runs(_site_of, runs, before, own_identities=False, only_looks=True, draws=DRAWS)


def _site_of(run: Path) -> Site:
    return site_of(run, None, "cameras' views")


def main(words: Sequence[str] | None = None) -> int:
    """Learn the weights and write them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ops.search_weights", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and clips; some hundred megabytes")
    parser.add_argument("--out", type=Path, default=PACKAGED, help="where the weights are written; absent: the packaged file")
    parser.add_argument("--processes", type=int, default=2, help="that film at once")
    parser.add_argument("--only-looks", action="store_true", help="of our own embedder, into the packaged weights as they are")
    options = parser.parse_args(words)
    if options.only_looks:
        weights = looks_learned(options.work, options.processes, load_weights(PACKAGED))
    else:
        weights = learned(options.work, options.processes)
    save_weights(weights, options.out)
    _say(f"weights {weights.version} in {options.out}")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except TwinError as wrong:
        _say(f"search_weights: {wrong}")
        raise SystemExit(1) from None
