"""What must hold between the parts of a site: references, overlaps, ways in and out, cameras that see the ground."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from shapely import Polygon, STRtree

from site_models.faults import Faults
from site_models.schema import Camera, Pinhole, Site
from site_models.ways import check_ways

_OVERLAP_M2 = 0.05
MAP, CAMERAS = "map.geojson", "cameras.toml"


def check(site: Site, faults: Faults) -> None:
    """Add every fault between a site's parts."""
    _unique(site, faults)
    _references(site, faults)
    _overlaps(site, faults)
    _stalls_in_zones(site, faults)
    check_ways(site, faults)
    for camera in site.cameras:
        _sees_ground(camera, site, faults)


def _feature(name: str) -> str:
    return f"{MAP}: feature '{name}'"


def _unique(site: Site, faults: Faults) -> None:
    groups = {
        (MAP, "feature"): [*site.zones, *site.stalls, *site.lanes, *site.portals, *site.landmarks, *site.obstacles],
        (CAMERAS, "camera"): site.cameras,
        ("site.toml", "level"): site.levels,
    }
    for (file, what), group in groups.items():
        seen: set[str] = set()
        for one in group:
            if one.id in seen:
                faults.add(f"{file}: {what} '{one.id}'", "the id is used twice; ids are unique within a file, rename one")
            seen.add(one.id)


def _references(site: Site, faults: Faults) -> None:
    levels, zones = ({one.id for one in group} for group in (site.levels, site.zones))
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
    for portal in site.portals:
        if portal.if_unreachable is not None and portal.role != "boundary":
            faults.add(_feature(portal.id), "if_unreachable is of gates, which stand at portals of role boundary; take it out")
        if (portal.role == "level") != (portal.to_level is not None):
            faults.add(
                _feature(portal.id), "a portal of role level names to_level, and no other role does; add it, or take it out"
            )
        elif portal.to_level == portal.level:
            faults.add(_feature(portal.id), f"leads from level '{portal.level}' to itself; name the other in to_level")
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
            faults.add(
                _feature(stall.id),
                f"lies {outside:.2f} m² outside its zone '{zone.id}' (level '{zone.level}'); move it, or enlarge the zone",
            )


def _sees_ground(camera: Camera, site: Site, faults: Faults) -> None:
    """The bottom centre of the picture, where the ground is nearest, looks at the ground."""
    where, geometry = f"{CAMERAS}: camera '{camera.id}'", camera.geometry
    if not isinstance(geometry, Pinhole):
        return
    elevation = next((level.elevation_m for level in site.levels if level.id == camera.level), 0.0)
    height = geometry.position_m[2] - elevation
    if height <= 0:
        faults.add(
            where, f"it hangs {height:.2f} m above its level's ground; raise position_m's z, counted from the site datum"
        )
        return
    fx, fy, cx, cy = geometry.k
    ray = np.array([(camera.frame_px[0] / 2 - cx) / fx, (camera.frame_px[1] - cy) / fy, 1.0])
    down = -float(np.array(geometry.rotation).reshape(3, 3).T[2] @ ray)
    reach = height / down * float(np.linalg.norm(ray)) if down > 0 else float("inf")
    if not reach <= 2 * camera.range_m:  # a focal length next to nothing makes it nan
        faults.add(where, "the bottom of its picture does not see the ground within its range; turn it down")
