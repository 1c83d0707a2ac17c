"""The messages of the live feed: a snapshot, and deltas from one state to the next.

A client holds the last state and its ``seq``. It takes a delta whose ``epoch`` is its own and whose ``prev`` is its ``seq``;
anything else means that it missed something and has to ask for a snapshot. ``ops/docs/live.md`` has the whole protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from twin.events.state import CameraView, CountersView, PortalView, StallView, StateView, VehicleView, ZoneView

State = dict[str, Any]
LISTS = {"stalls": "stall", "zones": "zone", "cameras": "camera", "portals": "portal"}
"""A state's lists whose members are never added or removed, and the key that names a member."""


class LiveSnapshot(Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """The whole state at a sequence number."""

    epoch: str
    seq: int
    position: str
    state: StateView


class LiveDelta(Struct, frozen=True, kw_only=True, tag_field="type", tag="delta"):
    """What changed since ``prev``: whole members, replaced by their id.

    Attributes:
        left: vehicles that are no longer on the site, or no longer fit the filter.
        counters: absent when unchanged; of the whole site, whatever the filter.
    """

    epoch: str
    prev: int
    seq: int
    position: str
    at: str
    vehicles: list[VehicleView]
    left: list[str]
    stalls: list[StallView]
    zones: list[ZoneView]
    cameras: list[CameraView]
    portals: list[PortalView]
    counters: CountersView | UnsetType = UNSET


class LivePing(Struct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """Nothing happened for a while, and the connection is alive."""


LiveMessage = LiveSnapshot | LiveDelta | LivePing


def difference(before: State, after: State) -> dict[str, Any]:
    """The part of a delta message that says what changed; ``merge(before, it)`` is ``after``."""
    vehicles = {one["vehicle"]: one for one in before["vehicles"]}
    changed = [one for one in after["vehicles"] if vehicles.pop(one["vehicle"], None) != one]
    return {
        "position": after["position"],
        "at": after["at"],
        "vehicles": changed,
        "left": sorted(vehicles),
        **{name: [new for old, new in zip(before[name], after[name], strict=True) if old != new] for name in LISTS},
        **({} if before["counters"] == after["counters"] else {"counters": after["counters"]}),
    }


def merge(state: State, delta: Mapping[str, Any]) -> State:
    """The state after a delta: what a client does with each message."""
    gone = set(delta["left"])
    kept = [one for one in state["vehicles"] if one["vehicle"] not in gone]
    merged = {name: _replaced(state[name], delta[name], key) for name, key in LISTS.items()}
    return {
        **state,
        **merged,
        "vehicles": sorted(_replaced(kept, delta["vehicles"], "vehicle"), key=lambda one: one["vehicle"]),
        "counters": delta.get("counters", state["counters"]),
        "position": delta["position"],
        "at": delta["at"],
    }


def conflated(deltas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several differences in a row as one: of each member what was last said."""
    vehicles: dict[str, Any] = {}
    left: set[str] = set()
    lists: dict[str, dict[str, Any]] = {name: {} for name in LISTS}
    rest: dict[str, Any] = {}
    for delta in deltas:
        for name in delta["left"]:
            vehicles.pop(name, None)
        left |= set(delta["left"])
        vehicles |= {one["vehicle"]: one for one in delta["vehicles"]}
        for name, key in LISTS.items():
            lists[name] |= {one[key]: one for one in delta[name]}
        rest |= {key: delta[key] for key in ("position", "at", "counters") if key in delta}
    changed = {name: list(members.values()) for name, members in lists.items()}
    return {**rest, "vehicles": list(vehicles.values()), "left": sorted(left - set(vehicles)), **changed}


def _replaced(members: Iterable[dict[str, Any]], changed: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    by_id = {one[key]: one for one in members}
    return list((by_id | {one[key]: one for one in changed}).values())
