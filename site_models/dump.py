"""A ``Site`` to a folder, as ``load_site`` reads it."""

from __future__ import annotations

import json
from pathlib import Path

from site_models.frame import SiteFrame
from site_models.map_features import collection
from site_models.schema import CameraGeometry, GateTerms, GroundHomography, Site
from site_models.tariff_entries import time_text


def dump_site(site: Site, folder: Path) -> None:
    """Write a site's three files; ``load_site`` gives the same site back, to 0.1 mm."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.toml").write_text(_site_toml(site), encoding="utf-8")
    (folder / "cameras.toml").write_text(_cameras_toml(site), encoding="utf-8")
    text = json.dumps(collection(site, SiteFrame(site.datum)), indent=None, separators=(",", ":"))
    text = text.replace('{"type":"Feature",', '\n{"type":"Feature",') + "\n"
    (folder / "map.geojson").write_text(text, encoding="utf-8")


def _site_toml(site: Site) -> str:
    datum = site.datum
    lines = ['schema = "twin.site/1"', f"name = {text_of(site.name)}", "", "[datum]", f"latitude = {datum.latitude}"]
    lines += [f"longitude = {datum.longitude}", f"bearing_deg = {datum.bearing_deg}"]
    for level in site.levels:
        lines += ["", "[[levels]]", f"id = {text_of(level.id)}", f"elevation_m = {level.elevation_m}"]
    for tariff in site.tariffs:
        lines += ["", "[[tariffs]]", f"id = {text_of(tariff.id)}", f"version = {tariff.version}"]
        lines += [f"currency = {text_of(tariff.currency)}", f"holds_from = {time_text(tariff.from_us)}"]
        for name in ("grace_minutes", "step_minutes", "price_minor", "day_cap_minor", "max_minor", "exit_minutes"):
            if (value := getattr(tariff, name)) is not None:
                lines.append(f"{name} = {value}")
    return "\n".join([*lines, *_gates_toml(site.gates)]) + "\n"


def _gates_toml(gates: GateTerms) -> list[str]:
    if gates == GateTerms():
        return []
    lines = ["", "[gates]", f"unknown_in = {text_of(gates.unknown_in)}", f"unknown_out = {text_of(gates.unknown_out)}"]
    lines += [] if gates.capacity is None else [f"capacity = {gates.capacity}"]
    return [*lines, f"valid_s = {gates.valid_s}"]


def _cameras_toml(site: Site) -> str:
    lines = ['schema = "twin.cameras/1"']
    for camera in site.cameras:
        lines += ["", "[[cameras]]", f"id = {text_of(camera.id)}", f"level = {text_of(camera.level)}"]
        lines += [f"width = {camera.frame_px[0]}", f"height = {camera.frame_px[1]}", *geometry_lines(camera.geometry)]
        lines += [f"fps = {camera.fps}", f"clock = {text_of(camera.clock)}", f"sigma_m = {camera.sigma_m}"]
        lines += [f"range_m = {camera.range_m}"]
        if camera.region_px:
            lines += [f"region_px = {[list(point) for point in camera.region_px]}"]
    return "\n".join(lines) + "\n"


def geometry_lines(geometry: CameraGeometry) -> list[str]:
    """Lines of a ``[[cameras]]`` table."""
    if isinstance(geometry, GroundHomography):
        return [f"homography = {list(geometry.matrix)}"]
    fx, fy, cx, cy = geometry.k
    lens = [f"fx = {fx}", f"fy = {fy}", f"cx = {cx}", f"cy = {cy}", f"distortion = {list(geometry.distortion)}"]
    return [*lens, f"position_m = {list(geometry.position_m)}", f"rotation = {list(geometry.rotation)}"]


def text_of(value: str) -> str:
    """A TOML basic string; ids hold no control characters, so JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False)
