"""Trains the dictionaries that payloads are stored with: ``python -m ops.bench.storage.dictionaries FOLDER``.

On simulated traffic of random generated sites, other ones than W20's, folded as in a running service. What it
prints goes into ``twin.log.sql.packing.DICTIONARIES`` under new numbers, and the files into the folder beside it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import zstandard

from perception.synthetic.profiles import DEFAULT
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from twin.events.codec import pack
from twin.events.envelope import RecordedObservation
from twin.events.ids import SECOND, Micros
from twin.events.observations import TrackletEmbedded
from twin.log.sql.packing import LEVEL
from twin.log.sql.plain_text import text_of
from twin.rules.fold import Fold

from .w20 import aged

SEEDS = range(101, 107)
N_BYTES = 8_192
_SECONDS = 25
_START: Micros = 1_767_571_200 * SECOND


def train(folder: Path) -> dict[str, str]:
    """Write a dictionary for the text of each log's payloads; gives their names, by log."""
    found = [_payloads(seed) for seed in SEEDS]
    names: dict[str, str] = {}
    for number, log in enumerate(("observations", "facts")):
        texts = (text_of(payload) for both in found for payload in both[number])
        samples: list[Any] = [text for text in texts if text is not None]
        content = zstandard.train_dictionary(N_BYTES, samples, level=LEVEL).as_bytes()
        names[log] = hashlib.blake2b(content, digest_size=16).hexdigest()
        (folder / f"{names[log]}.dict").write_bytes(content)
    return names


def _payloads(seed: int) -> tuple[list[bytes], list[bytes]]:
    """Packed payloads of the observations and of the facts of one site; of each second one named as edge workers do."""
    n_cameras = 3 + seed % 7
    site = generate(n_cameras=n_cameras, n_stalls=10 * n_cameras, n_levels=1, overlap=0.2, seed=seed)
    start_at = _START + (seed % 24) * 3600 * SECOND
    events = [event for _, event in Simulation(site, seed, DEFAULT, start_at).events(start_at + _SECONDS * SECOND)]
    if seed % 2:
        events = list(map(aged, events))
    fold = Fold(site)
    state, facts = fold.initial(), list[bytes]()
    for position, event in enumerate(events, 1):
        personal = event.payload.personal if isinstance(event.payload, TrackletEmbedded) else None
        recorded: RecordedObservation = RecordedObservation(position=position, recorded_at=event.occurred_at, event=event)
        state, more = fold.step(state, recorded, personal)
        facts += [pack(one.payload) for one in more]
    return [pack(event.payload) for event in events], facts


if __name__ == "__main__":
    for log, name in train(Path(sys.argv[1])).items():
        sys.stdout.write(f"{log} {name}\n")
