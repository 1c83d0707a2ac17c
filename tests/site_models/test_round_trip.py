"""A site of every kind of feature and camera is the same site after it was written and read."""

from __future__ import annotations

import json
from itertools import pairwise

from site_models.dump import dump_site
from site_models.load import load_site

BESIDE = """
[[cameras]]
id = "beside"
level = "roof"
width = 1280
height = 720
pairs = [[200, 700, -3, -8], [1080, 700, 3, -8], [500, 200, -3, 6], [780, 200, 3, 6]]
region_px = [[0, 100], [1280, 100], [1280, 720.5]]
clock = "ptp"
"""


def with_everything(files, copy_of):
    files.site_toml += '[[levels]]\nid = "roof"\nelevation_m = 3.25\n'
    files.cameras_toml += BESIDE
    copy_of(files, "way", "roof")["properties"] = {"kind": "level", "id": "roof"}
    copy_of(files, "up", "above")["properties"].update(level="roof", one_way=False, width_m=3.5)
    files.move("above", (0, 20), (1, 30), (0, 40))
    files.of("up")["properties"]["follows"] = ["above"]
    copy_of(files, "out", "ramp")["properties"].update(role="level", direction="both", to_level="roof")
    files.move("ramp", (-3, 19), (3, 19))
    files.of("sign")["properties"].update(height_m=2.5, label='Ausfahrt "Süd" \\ 出口')
    files.of("fence")["properties"]["thickness_m"] = 0.35
    return load_site(files.write())


def test_every_kind_of_feature_and_camera_is_read_back_the_same(files, copy_of, tmp_path):
    site = with_everything(files, copy_of)
    groups = (site.zones, site.stalls, site.lanes, site.portals, site.landmarks, site.obstacles, site.cameras)
    assert all(groups)
    assert [bool(level.ring_m) for level in site.levels] == [False, True]
    dump_site(site, tmp_path / "again")
    assert load_site(tmp_path / "again") == site


def test_what_is_written_twice_is_written_the_same(files, copy_of, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    dump_site(with_everything(files, copy_of), first)
    dump_site(load_site(first), second)
    for name in ("site.toml", "cameras.toml", "map.geojson"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_map_written_is_geojson_with_closed_counter_clockwise_rings(files, copy_of, tmp_path):
    """RFC 7946, section 3.1.6."""
    dump_site(with_everything(files, copy_of), tmp_path / "again")
    written = json.loads((tmp_path / "again" / "map.geojson").read_text(encoding="utf-8"))
    rings = [one["geometry"]["coordinates"] for one in written["features"] if one["geometry"]["type"] == "Polygon"]
    assert len(rings) == 6
    for (ring,) in rings:
        assert ring[0] == ring[-1]
        east, north = ring[0]
        near = [(x - east, y - north) for x, y in ring]
        assert sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(near)) > 0
