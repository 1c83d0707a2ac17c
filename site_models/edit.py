"""A site with other zones, stalls, lanes and portals: checked as when it is loaded, and compared with what it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from site_models.check import check
from site_models.faults import Faults
from site_models.frame import FARTHEST_M, SiteFrame
from site_models.map_features import collection, mapped
from site_models.schema import Lane, Point, Portal, Site, Stall, Zone

_MOVED_M = 0.001  # less is the map's rounding


class Edited(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be drawn, all of the site; metres in the site frame."""

    zones: tuple[Zone, ...]
    stalls: tuple[Stall, ...]
    lanes: tuple[Lane, ...]
    portals: tuple[Portal, ...]


class Change(Struct, frozen=True, kw_only=True):
    """What became of one feature.

    Attributes:
        moved_m: how far the corner went that went farthest; None where it has another number of corners.
        fields: what else differs, by name.
    """

    kind: Literal["zone", "stall", "lane", "portal"]
    id: str
    what: Literal["added", "removed", "changed"]
    moved_m: float | None = None
    fields: tuple[str, ...] = ()


def with_features(site: Site, edited: Edited) -> tuple[Site, tuple[str, ...]]:
    """The site with these features, as a file of them is read, and every fault that it has."""
    faults = Faults()
    drawn = [one for one in (*edited.zones, *edited.stalls, *edited.lanes, *edited.portals) if _is_drawn(one, faults)]
    frame = SiteFrame(site.datum)
    found: list[Any] = []
    for feature in collection(replace(site, **_groups(drawn)), frame)["features"]:
        with faults.gathered(f"map.geojson: feature '{feature['properties']['id']}'"):
            found.append(mapped(feature, frame))
    made = replace(site, **_groups(found))
    check(made, faults)
    return made, tuple(faults.lines)


def difference(before: Site, after: Site) -> tuple[Change, ...]:
    """What was added, removed, moved or told otherwise, by kind and id."""
    changes: list[Change] = []
    for kind, group in _KINDS.items():
        old, new = ({one.id: one for one in getattr(site, group)} for site in (before, after))
        for name in sorted({*old, *new}):
            if name not in old:
                changes.append(Change(kind=kind, id=name, what="added"))
            elif name not in new:
                changes.append(Change(kind=kind, id=name, what="removed"))
            elif (change := _change(kind, old[name], new[name])) is not None:
                changes.append(change)
    return tuple(changes)


_KINDS: dict[Literal["zone", "stall", "lane", "portal"], str] = {
    "zone": "zones",
    "stall": "stalls",
    "lane": "lanes",
    "portal": "portals",
}
_Feature = Zone | Stall | Lane | Portal


def _groups(features: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    kinds = {"zones": Zone, "stalls": Stall, "lanes": Lane, "portals": Portal}
    return {
        name: tuple(sorted((one for one in features if isinstance(one, kind)), key=lambda one: one.id))
        for name, kind in kinds.items()
    }


def _points(one: _Feature) -> tuple[Point, ...]:
    return one.ring_m if isinstance(one, Zone | Stall) else one.line_m


def _is_drawn(one: _Feature, faults: Faults) -> bool:
    """Whether it has corners, and near the site: otherwise it cannot be put on the map at all."""
    least = 3 if isinstance(one, Zone | Stall) else 2
    points, where = _points(one), f"map.geojson: feature '{one.id}'"
    if len(points) < least:
        faults.add(where, f"has {len(points)} corners, and needs {least}; draw it anew")
        return False
    if not all(math.hypot(x, y) <= FARTHEST_M for x, y in points):
        faults.add(where, f"has a corner farther than {FARTHEST_M / 1000:g} km from the datum; move it back")
        return False
    return True


def _change(kind: Literal["zone", "stall", "lane", "portal"], old: _Feature, new: _Feature) -> Change | None:
    told = asdict(old), asdict(new)
    fields = tuple(name for name in told[0] if name not in ("ring_m", "line_m") and told[0][name] != told[1][name])
    moved = _moved_m(_points(old), _points(new), is_ring=isinstance(old, Zone | Stall))
    if not fields and moved is not None and moved < _MOVED_M:
        return None
    return Change(kind=kind, id=old.id, what="changed", moved_m=moved, fields=fields)


def _moved_m(old: Sequence[Point], new: Sequence[Point], *, is_ring: bool) -> float | None:
    """Of the corners as they stand in order; a ring may begin at any of its corners."""
    if len(old) != len(new):
        return None
    shifts = range(len(new)) if is_ring else range(1)
    turned = ([*new[shift:], *new[:shift]] for shift in shifts)
    return round(min(max(math.dist(a, b) for a, b in zip(old, one, strict=True)) for one in turned), 4)
