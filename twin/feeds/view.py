"""What part of a site a live client asked for: some zones, some kinds of things.

Zones choose the vehicles and stalls in them, themselves, and the cameras that see a part of them. Portals are of the whole
site. So are the counters, which every message tells as it tells the time: what they count is said of no zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from site_models.schema import Site
from twin.errors import BadInput
from twin.feeds.delta import LISTS, State

LIST_BY_KIND = {"vehicle": "vehicles", **{kind: name for name, kind in LISTS.items()}}
"""What ``kinds=`` may name, and the list of the state that each is."""


class LiveFilter(Struct, frozen=True, kw_only=True):
    """Which zones and kinds; each sorted, without doubles, and None for all.

    All zones are not the same as None: a vehicle may be in no zone.
    """

    zones: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None


EVERYTHING = LiveFilter()


def live_filter(site: Site, *, zones: str | None, kinds: str | None) -> LiveFilter:
    """Read the filter of a request: names with commas between; raises BadInput where a name is not known."""
    of_kinds = _names("kinds", kinds, set(LIST_BY_KIND))
    return LiveFilter(
        zones=_names("zones", zones, {str(zone.id) for zone in site.zones}),
        kinds=None if of_kinds is not None and len(of_kinds) == len(LIST_BY_KIND) else of_kinds,
    )


class View:
    """A filter on one site, which follows a state by its differences.

    It remembers which vehicles fit, so that it can tell those that do not any more.
    """

    def __init__(self, site: Site, wanted: LiveFilter, cameras_by_zone: Mapping[str, frozenset[str]]) -> None:
        self._zones = None if wanted.zones is None else frozenset(wanted.zones)
        self._hidden = [name for kind, name in LIST_BY_KIND.items() if wanted.kinds is not None and kind not in wanted.kinds]
        self._has_vehicles = "vehicles" not in self._hidden
        self._ids = {} if self._zones is None else _ids(site, self._zones, cameras_by_zone)
        self._inside: set[str] = set()

    def start(self, state: State) -> None:
        """Follow from this state on."""
        self._inside = {one["vehicle"] for one in self.state(state)["vehicles"]}

    def state(self, state: State) -> State:
        """What of a state fits; a list of a kind that was not asked for is empty."""
        within = {
            name: [one for one in state[name] if one[key] in ids]
            for name, key in LISTS.items()
            if (ids := self._ids.get(name)) is not None
        }
        vehicles = [one for one in state["vehicles"] if self._fits(one)]
        return {**state, "vehicles": vehicles, **within, **{name: [] for name in self._hidden}}

    def difference(self, whole: Mapping[str, Any]) -> dict[str, Any] | None:
        """What of a difference fits, None if nothing does."""
        vehicles, left = self._moved(whole) if self._has_vehicles else ([], [])
        told = {**whole, "vehicles": vehicles, "left": left}
        for name, key in LISTS.items():
            if name in self._hidden:
                told[name] = []
            elif (ids := self._ids.get(name)) is not None:
                told[name] = [one for one in whole[name] if one[key] in ids]
        is_something = vehicles or left or "counters" in told or any(told[name] for name in LISTS)
        return told if is_something else None

    def _fits(self, vehicle: Mapping[str, Any]) -> bool:
        return self._zones is None or vehicle["zone"] in self._zones

    def _moved(self, whole: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
        fitting = [one for one in whole["vehicles"] if self._fits(one)]
        now = {one["vehicle"] for one in fitting}
        gone = self._inside & ({*whole["left"], *(one["vehicle"] for one in whole["vehicles"])} - now)
        self._inside = (self._inside - gone) | now
        return fitting, sorted(gone)


def _ids(site: Site, zones: frozenset[str], cameras_by_zone: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """By list: the members that fit."""
    return {
        "stalls": frozenset(stall.id for stall in site.stalls if stall.zone in zones),
        "zones": zones,
        "cameras": frozenset[str]().union(*(cameras_by_zone.get(zone, frozenset()) for zone in zones)),
    }


def _names(what: str, given: str | None, known: set[str]) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(sorted(set(given.split(","))))
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"{what}='{given[:80]}' has '{unknown[0][:40]}', which is not known; use of {', '.join(sorted(known))}")
    return names
