"""What a webhook's receiver holds, against the fact log: nothing missing, nothing doubled, each session in order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ops.examples.billing.stay import TYPES, stay_of
from twin.events.codec import from_cloudevent
from twin.events.envelope import RecordedFact
from twin.feeds.subscriptions import order_of


def received_once_and_in_order(came: str, told: str, facts: Iterable[dict[str, Any]]) -> str:
    """Figures of it, in words.

    Args:
        came, told: what ``events`` and ``stays`` of the receiver print.
        facts: all of the twin's.
    """
    events, stays = ([json.loads(line) for line in lines.splitlines()] for lines in (came, told))
    wanted = [one for one in facts if one["type"] in TYPES]
    id_counts = Counter(one["id"] for one in events)
    missing = [one["id"] for one in wanted if one["id"] not in id_counts]
    doubled = [name for name, n in id_counts.items() if n > 1]
    strange = id_counts.keys() - {one["id"] for one in wanted}
    assert (missing, doubled, strange) == ([], [], set())
    assert [json.loads(one["body"]) for one in sorted(events, key=lambda one: one["position"])] == wanted
    assert orders(sorted(events, key=lambda one: one["n"])) == orders(sorted(events, key=lambda one: one["position"]))
    rows_are_those_of_the_facts(stays, wanted)
    n_copies = sum(one["n_copies"] for one in events)
    return (
        f"{len(events)} facts at the receiver, {n_copies} of them once more, 0 missing, 0 doubled, {len(stays)} stays in order"
    )


def orders(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Ids of each session, as they come here."""
    found: dict[str, list[str]] = {}
    for one in events:
        event = from_cloudevent(json.loads(one["body"]))
        found.setdefault(order_of(RecordedFact(position=1, recorded_at=0, event=event)), []).append(one["id"])
    return found


def rows_are_those_of_the_facts(stays: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Each stay's row counts each of its facts once, and is the last of them."""
    n_facts, latest = Counter[str](), {}
    for one in wanted:
        stay = stay_of(from_cloudevent(one).payload)
        if stay is not None:
            n_facts[stay.session] += 1
            latest[stay.session] = (stay.version, stay.status, stay.entry_at, stay.exit_at)
    assert {one["session"]: one["n_facts"] for one in stays} == n_facts
    rows = {one["session"]: (one["version"], one["status"], one["entry_at"], one["exit_at"]) for one in stays}
    assert rows == latest
