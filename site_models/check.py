"""What must hold between the parts of a site: references, overlaps, ways in and out, cameras that see the ground."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import numpy as np
from shapely import LineString, Polygon, STRtree

from site_models.faults import Faults
from site_models.schema import Camera, Lane, Pinhole, Portal, Site

_OVERLAP_M2 = 0.05
_STALL_REACH_M = 9.0
MAP, CAMERAS = "map.geojson", "cameras.toml"


def check(site: Site, faults: Faults) -> None:
    """Add every fault between a site's parts."""
    _unique(site, faults)
    _references(site, faults)
    _overlaps(site, faults)
    _stalls_in_zones(site, faults)
    _ways(site, faults)
    for camera in site.cameras:
        _sees_ground(camera, site, faults)


def _feature(name: str) -> str:
    return f"{MAP}: feature '{name}'"


def _unique(site: Site, faults: Faults) -> None:
    groups = {
        MAP: [*site.zones, *site.stalls, *site.lanes, *site.portals, *site.landmarks, *site.obstacles],
        CAMERAS: site.cameras,
        "site.toml": site.levels,
    }
    for file, group in groups.items():
        seen: set[str] = set()
        for one in group:
            if one.id in seen:
                faults.add(f"{file}: '{one.id}'", "the id is used twice; ids are unique within a file")
            seen.add(one.id)


def _references(site: Site, faults: Faults) -> None:
    levels, zones, lanes = ({one.id for one in group} for group in (site.levels, site.zones, site.lanes))
    placed: Iterable = (*site.zones, *site.stalls, *site.lanes, *site.portals, *site.landmarks, *site.obstacles)
    for one in placed:
        if one.level not in levels:
            faults.add(_feature(one.id), f"level '{one.level}' is not in site.toml; its levels are {sorted(levels)}")
    for camera in site.cameras:
        if camera.level not in levels:
            faults.add(
                f"{CAMERAS}: camera '{camera.id}'", f"level '{camera.level}' is not in site.toml; it has {sorted(levels)}"
            )
    for stall in site.stalls:
        if stall.zone not in zones:
            faults.add(
                _feature(stall.id), f"zone '{stall.zone}' does not exist; draw it, or name the zone that holds the stall"
            )
    for lane in site.lanes:
        for other in lane.follows:
            if other not in lanes:
                faults.add(_feature(lane.id), f"follows lane '{other}', which does not exist")
    for portal in site.portals:
        if (portal.role == "level") != (portal.to_level is not None):
            faults.add(_feature(portal.id), "a portal of role level names to_level, and no other role does")
        elif portal.to_level is not None and portal.to_level not in levels:
            faults.add(_feature(portal.id), f"to_level '{portal.to_level}' is not in site.toml; it has {sorted(levels)}")


def _overlaps(site: Site, faults: Faults) -> None:
    for kind, group in (("zone", site.zones), ("stall", site.stalls)):
        for level in site.levels:
            areas = [(one.id, Polygon(one.ring_m)) for one in group if one.level == level.id]
            tree = STRtree([area for _, area in areas])
            for n, (name, area) in enumerate(areas):
                for m in sorted(int(k) for k in tree.query(area) if k > n):
                    shared = area.intersection(areas[m][1]).area
                    if shared > _OVERLAP_M2:
                        faults.add(
                            _feature(name), f"overlaps {kind} '{areas[m][0]}' by {shared:.2f} m²; {kind}s must not overlap"
                        )


def _stalls_in_zones(site: Site, faults: Faults) -> None:
    zones = {zone.id: zone for zone in site.zones}
    for stall in site.stalls:
        zone = zones.get(stall.zone)
        if zone is None:
            continue
        outside = Polygon(stall.ring_m).difference(Polygon(zone.ring_m)).area
        if zone.level != stall.level or outside > _OVERLAP_M2:
            faults.add(_feature(stall.id), f"lies {outside:.2f} m² outside its zone '{zone.id}' (level '{zone.level}')")


def _ways(site: Site, faults: Faults) -> None:
    """Every stall can be driven to from an entry and left through an exit, where there are stalls."""
    boundaries = [portal for portal in site.portals if portal.role == "boundary"]
    if not site.stalls or not site.lanes:
        return
    for direction in ("in", "out"):
        if not any(portal.direction in (direction, "both") for portal in boundaries):
            faults.add(MAP, f"there are stalls, but no boundary portal with direction {direction}; sessions need one")
    ways = nx.DiGraph([(lane.id, other) for lane in site.lanes for other in lane.follows])
    ways.add_nodes_from(lane.id for lane in site.lanes)
    ways.add_edges_from((b, a) for a, b in list(ways.edges) if _is_two_way(site, a) and _is_two_way(site, b))
    starts = {lane.id for lane in site.lanes for portal in boundaries if portal.direction != "out" and _crosses(lane, portal)}
    ends = {lane.id for lane in site.lanes for portal in boundaries if portal.direction != "in" and _crosses(lane, portal)}
    from_entry = starts.union(*(nx.descendants(ways, lane) for lane in starts))
    to_exit = ends.union(*(nx.ancestors(ways, lane) for lane in ends))
    for stall in site.stalls:
        area = Polygon(stall.ring_m)
        near = {
            lane.id
            for lane in site.lanes
            if lane.level == stall.level and LineString(lane.line_m).distance(area) < _STALL_REACH_M
        }
        if not near & from_entry:
            faults.add(_feature(stall.id), "no lane leads to it from an entry; check lanes' follows and the entry portal")
        elif not near & to_exit:
            faults.add(_feature(stall.id), "no lane leads from it to an exit; check lanes' follows and the exit portal")


def _is_two_way(site: Site, name: str) -> bool:
    return any(lane.id == name and not lane.one_way for lane in site.lanes)


def _crosses(lane: Lane, portal: Portal) -> bool:
    return lane.level == portal.level and LineString(lane.line_m).intersects(LineString(portal.line_m))


def _sees_ground(camera: Camera, site: Site, faults: Faults) -> None:
    """The bottom centre of the picture, where the ground is nearest, looks at the ground."""
    where, geometry = f"{CAMERAS}: camera '{camera.id}'", camera.geometry
    if not isinstance(geometry, Pinhole):
        return
    elevation = next((level.elevation_m for level in site.levels if level.id == camera.level), 0.0)
    height = geometry.position_m[2] - elevation
    if height <= 0:
        faults.add(where, f"it hangs {height:.2f} m above its level's ground; position_m's z is above the site datum")
        return
    fx, fy, cx, cy = geometry.k
    ray = np.array([(camera.frame_px[0] / 2 - cx) / fx, (camera.frame_px[1] - cy) / fy, 1.0])
    down = -float(np.array(geometry.rotation).reshape(3, 3).T[2] @ ray)
    reach = height / down * float(np.linalg.norm(ray)) if down > 0 else float("inf")
    if reach > 2 * camera.range_m:
        faults.add(where, "the bottom of its picture does not see the ground within its range; turn it down")
