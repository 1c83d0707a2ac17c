"""Every fault of a site is told at once, with its file and feature; nothing that is read ends in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from site_models.load import PACKAGED, check_site, load_site, resolve
from twin.errors import NotFound, SiteFault


def test_the_small_site_is_sound(files):
    assert files.faults() == ()
    site = load_site(files.folder)
    assert site.name == "yard"
    assert [stall.id for stall in site.stalls] == ["S1", "S2"]


def test_a_site_with_three_broken_features_lists_all_three(files):
    files.move("row", (3, 0), (8, 10), (8, 0), (3, 10))
    files.of("S1")["properties"]["widht_m"] = 2.5
    files.of("in")["properties"]["role"] = "gate"
    with pytest.raises(SiteFault) as told:
        load_site(files.write())
    assert [fault.split(":")[1].strip() for fault in told.value.faults[:3]] == ["feature 'row'", "feature 'S1'", "feature 'in'"]
    crossed, unknown, role = told.value.faults[:3]
    assert "crosses itself" in crossed
    assert "widht_m" in unknown
    assert "gate" in role
    assert "site 'yard' has" in str(told.value)


@pytest.mark.parametrize(
    ("name", "properties", "said"),
    [
        ("S1", {"zone": "attic"}, "zone 'attic' does not exist"),
        ("S1", {"level": "attic"}, "level 'attic' is not in site.toml"),
        ("S1", {"id": "S2"}, "the id is used twice"),
        ("S1", {"heading_deg": 400.0}, "heading_deg"),
        ("row", {"kind": "region"}, "region"),
        ("up", {"follows": ["down"]}, "follows lane 'down', which does not exist"),
        ("up", {"width_m": 0.0}, "width_m"),
        ("in", {"role": "level"}, "a portal of role level names to_level"),
        ("in", {"to_level": "ground"}, "and no other role does"),
        ("in", {"role": "level", "to_level": "attic"}, "to_level 'attic' is not in site.toml"),
        ("in", {"role": "level", "to_level": "ground"}, "from level 'ground' to itself"),
        ("in", {"direction": "out"}, "lane 'up' crosses it in"),
        ("in", {"if_unreachable": "ajar"}, "if_unreachable"),
        ("in", {"role": "count", "if_unreachable": "open"}, "if_unreachable is of gates"),
        ("fence", {"height_m": -1.0}, "height_m"),
        ("fence", {"id": "a/b"}, "id"),
        ("fence", {"id": "\ud800"}, "id"),
    ],
)
def test_a_wrong_property_is_told_with_its_feature(files, name, properties, said):
    files.of(name)["properties"].update(properties)
    faults = files.faults()
    assert any(fault.startswith("map.geojson: feature '") and said in fault for fault in faults), faults
    assert all(fault.isprintable() for fault in faults)


@pytest.mark.parametrize(
    ("name", "points", "said"),
    [
        ("in", [(0, -6), (0, -6)], "no length"),
        ("in", [(-3, -6), (0, -6), (3, -6)], "a portal is a line of 2 points, this has 3"),
        ("in", [(3, -6), (-3, -6)], "its direction is in, but lane 'up' crosses it out"),
        ("S1", [(6, 0), (11, 0), (11, 2.5), (6, 2.5)], "7.50 m² outside its zone 'row'"),
        ("S1", [(3, 1), (8, 1), (8, 3.5), (3, 3.5)], "overlaps stall 'S2' by 5.00 m²"),
        ("way", [(-3, -5), (4, -5), (4, 20), (-3, 20)], "overlaps zone 'way' by 10.00 m²"),
        ("way", [(-3, -5), (3, -5)], "at least 4 points, this has 3"),
        ("up", [(-30, -20), (-30, 20)], "no lane passes within 9 m of it"),
        ("up", [(0, 0), (0, 20)], "no lane leads to it from an entry"),
        ("up", [(0, -20), (0, 10)], "no lane leads from it to an exit"),
    ],
)
def test_a_wrong_geometry_is_told_with_its_feature(files, name, points, said):
    files.move(name, *points)
    faults = files.faults()
    assert any(fault.startswith("map.geojson: feature '") and said in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("name", "geometry", "said"),
    [
        ("row", None, "its geometry is None, this kind is a Polygon; draw it as one"),
        ("row", {"type": "MultiPolygon", "coordinates": []}, "its geometry is MultiPolygon"),
        ("row", {"type": "Polygon", "coordinates": []}, "exactly one ring"),
        ("row", {"type": "Polygon", "coordinates": [["a"]]}, "Expected `array`"),
        ("sign", {"type": "Point", "coordinates": [5.0]}, "is not [longitude, latitude]"),
        ("sign", {"type": "Point", "coordinates": [5.0, 152.0]}, "outside WGS 84"),
        ("sign", {"type": "Point", "coordinates": [52.0, 5.0]}, "is longitude first?"),
    ],
)
def test_coordinates_that_cannot_be_are_told(files, name, geometry, said):
    files.of(name)["geometry"] = geometry
    assert any(fault.startswith(f"map.geojson: feature '{name}'") and said in fault for fault in files.faults())


def test_a_lane_that_is_far_from_the_one_it_leads_into_is_told(files, copy_of):
    copy_of(files, "up", "round")
    files.move("round", (40, 20), (40, -20))
    files.of("up")["properties"]["follows"] = ["round"]
    assert files.faults() == (
        "map.geojson: feature 'up': follows lane 'round', which is 40.0 m from its end; draw them to meet within 5 m",
    )


def test_a_lane_changes_level_only_through_a_level_portal(files, copy_of):
    files.site_toml += '[[levels]]\nid = "roof"\nelevation_m = 3.0\n'
    copy_of(files, "up", "above")["properties"]["level"] = "roof"
    files.move("above", (0, 20), (0, 40))
    files.of("up")["properties"]["follows"] = ["above"]
    assert any("crosses no level portal" in fault for fault in files.faults())
    ramp = copy_of(files, "out", "ramp")["properties"]
    ramp.update(role="level", direction="both", to_level="roof")
    files.move("ramp", (-3, 19), (3, 19))
    assert files.faults() == ()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("hfov_deg = 80.0", "focal_px = 0.0", "focal_px"),
        ("hfov_deg = 80.0", "focal_px = -500.0", "focal_px"),
        ("hfov_deg = 80.0", "", "give one of fx"),
        ("hfov_deg = 80.0", "hfov_deg = 80.0\nfx = 500.0", "give one of fx"),
        ("hfov_deg = 80.0", "fy = 500.0", "fy is given without fx"),
        ("hfov_deg = 80.0", "hfov_deg = nan", "nan is not a number"),
        ("hfov_deg = 80.0", "hfov_dge = 80.0", "hfov_dge"),
        ("hfov_deg = 80.0", "hfov_deg = 80.0\nzoom" + ".x" * 3000 + " = 1", "nested more than 8 deep"),
        ("hfov_deg = 80.0", "hfov_deg = 80.0\ncx = 1e308", "1e+308 is not a number"),
        ("hfov_deg = 80.0", "fx = 5e-324", "does not see the ground"),
        ("hfov_deg", "region_px = [[0, 0], [9, 9]]\nhfov_deg", "region_px has 2 corners"),
        ("hfov_deg", "region_px = [[0, 0], [90, 90], [90, 0], [0, 90]]\nhfov_deg", "region_px crosses itself"),
        ('level = "ground"', 'level = "attic"', "level 'attic' is not in site.toml"),
        ("look_at_m = [0.0, 5.0, 0.0]", "", "either rotation or look_at_m"),
        ("look_at_m = [0.0, 5.0, 0.0]", "look_at_m = [0.0, 5.0, 30.0]", "does not see the ground"),
        ("look_at_m = [0.0, 5.0, 0.0]", "look_at_m = [0.0, -10.0, 0.0]", "straight above"),
        ("look_at_m = [0.0, 5.0, 0.0]", "rotation = [1, 0, 0, 0, 1, 0, 0, 0, 2]", "not a rotation matrix"),
        ("position_m = [0.0, -10.0, 6.0]", "position_m = [0.0, -10.0, -1.0]", "raise position_m's z"),
        ("position_m = [0.0, -10.0, 6.0]", "position_m = [0.0, 3e4, 6.0]", "30 km from the datum"),
        ("position_m", "homography = [1, 0, 0, 0, 1, 0, 0, 0, 1]\nposition_m", "2 of position_m, homography and pairs"),
    ],
)
def test_a_wrong_camera_is_told_by_its_name(files, before, after, said):
    assert before in files.cameras_toml
    files.cameras_toml = files.cameras_toml.replace(before, after)
    faults = files.faults()
    assert len(faults) == 1
    assert faults[0].startswith("cameras.toml: camera 'gate': ")
    assert said in faults[0]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"yard"', '"a/b"', "name"),
        ("52.0", "nan", "nan is not a number"),
        ("52.0", "91.0", "latitude"),
        ("twin.site/1", "twin.site/2", "twin.site/2"),
        ("bearing_deg", "bearing", "bearing"),
        ("[[levels]]", "[[floors]]", "floors"),
        ('name = "yard"', "name = ", "is not TOML"),
        ('name = "yard"', "name = " + "[" * 5000, "is not TOML"),
        ('name = "yard"', "name" + ".x" * 3000 + " = 1", "nested more than 8 deep"),
        ("52.0", "9" * 5000, "is not TOML"),
        ("52.0", "9" * 400, "out of range"),
    ],
)
def test_a_wrong_site_file_is_told(files, before, after, said):
    assert before in files.site_toml
    files.site_toml = files.site_toml.replace(before, after)
    site, faults = check_site(files.write())
    assert site is None
    assert len(faults) == 1
    assert faults[0].startswith("site.toml: ")
    assert said in faults[0]


def test_two_levels_of_one_id_are_told(files):
    files.site_toml += '[[levels]]\nid = "ground"\n'
    assert files.faults() == ("site.toml: level 'ground': the id is used twice; ids are unique within a file, rename one",)


def test_stalls_need_an_entry_and_an_exit(files):
    files.features = [one for one in files.features if one["properties"]["kind"] != "portal"]
    assert [fault for fault in files.faults() if "no boundary portal with direction" in fault] == [
        f"map.geojson: there are stalls, but no boundary portal with direction {direction}; sessions need one"
        for direction in ("in", "out")
    ]


def test_missing_files_are_all_told(tmp_path):
    site, faults = check_site(tmp_path / "nowhere")
    assert site is None
    assert [fault.split(":")[0] for fault in faults] == ["site.toml", "cameras.toml", "map.geojson"]


@pytest.mark.parametrize("name", ["site.toml", "cameras.toml", "map.geojson"])
@pytest.mark.parametrize("content", [b"\xff\xfe{", b"\x00", b"{", b"[" * 100_000, b""])
def test_a_file_of_garbage_is_told_by_its_name(files, name, content):
    (files.write() / name).write_bytes(content)
    faults = check_site(files.folder)[1]
    assert faults
    assert all(fault.startswith(f"{name}: ") for fault in faults if "is not" in fault)


@pytest.mark.parametrize("text", ["[]", "3", '{"type": "Feature"}', '{"type": "FeatureCollection", "features": {}}'])
def test_json_that_is_no_feature_collection_is_told(files, text):
    (files.write() / "map.geojson").write_text(text)
    assert check_site(files.folder)[1] == ("map.geojson: is no GeoJSON FeatureCollection; put the features into one",)


def test_a_file_that_is_too_large_is_told_and_not_read(files):
    with (files.write() / "map.geojson").open("ab") as file:
        file.truncate(50_000_001)
    assert "map.geojson: is larger than 50000000 bytes; a site this large is several sites" in check_site(files.folder)[1]


def test_a_levels_outline_is_drawn_once_and_for_a_level_that_exists(files, copy_of):
    copy_of(files, "way", "ground")["properties"] = {"kind": "level", "id": "ground"}
    site, faults = check_site(files.write())
    assert faults == ()
    assert len(site.levels[0].ring_m) == 4
    copy_of(files, "ground", "ground")
    copy_of(files, "ground", "roof")
    assert files.faults() == (
        "map.geojson: feature 'ground': outlines its level a second time; keep one of them",
        "map.geojson: feature 'roof': outlines a level that site.toml does not have; add it there",
    )


@pytest.mark.parametrize(("one_way", "is_reached"), [(False, True), (True, False)])
def test_a_dead_end_is_left_again_only_by_a_two_way_lane(files, copy_of, one_way, is_reached):
    """The stalls lie on a spur; entry and exit on the lane that it branches from, both ways."""
    for name in ("in", "out"):
        files.of(name)["properties"]["direction"] = "both"
    files.move("out", (3, -8), (-3, -8))
    files.move("up", (0, -20), (0, -4))
    files.of("up")["properties"].update(one_way=False, follows=["spur"])
    copy_of(files, "up", "spur")["properties"].update(one_way=one_way, follows=[])
    files.move("spur", (0, -4), (0, 10))
    files.move("S1", (3, 5), (8, 5), (8, 7.5), (3, 7.5))
    files.move("S2", (3, 7.5), (8, 7.5), (8, 10), (3, 10))
    said = () if is_reached else ("no lane leads from it to an exit; check lanes' follows and the exit portal",) * 2
    assert tuple(fault.split(": ", 2)[2] for fault in files.faults()) == said


def test_orientation_does_not_matter_and_becomes_counter_clockwise(files):
    files.move("S1", (3, 0), (3, 2.5), (8, 2.5), (8, 0))
    site, faults = check_site(files.write())
    assert faults == ()
    ring = next(stall.ring_m for stall in site.stalls if stall.id == "S1")
    assert sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True)) > 0


def test_a_stall_without_heading_stands_nose_away_from_its_lane(files):
    assert files.faults() == ()
    assert next(stall.heading_deg for stall in load_site(files.folder).stalls if stall.id == "S2") == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("x", "heading_deg"), [(4.0, 0.0), (-4.0, 180.0)])
@pytest.mark.parametrize("n_turned", range(4))
def test_a_heading_left_out_does_not_depend_on_where_its_outline_starts(files, x, heading_deg, n_turned):
    corners = [(x, 2.5), (2 * x, 2.5), (2 * x, 5), (x, 5)]
    files.move("row", (x, 0), (2 * x, 0), (2 * x, 10), (x, 10))
    files.move("S1", (x, 0), (2 * x, 0), (2 * x, 2.5), (x, 2.5))
    files.move("S2", *corners[n_turned:], *corners[:n_turned])
    stall = next(one for one in load_site(files.write()).stalls if one.id == "S2")
    assert abs((stall.heading_deg - heading_deg + 180) % 360 - 180) < 0.05


def test_a_name_is_a_packaged_site_unless_a_folder_has_it(tmp_path, monkeypatch):
    assert resolve("demo_lot") == PACKAGED / "demo_lot"
    (tmp_path / "demo_lot").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("demo_lot") == Path("demo_lot")
    for wrong in ("demo", "../sites/demo_lot", "nul\0byte"):
        with pytest.raises(NotFound, match="demo_lot"):
            resolve(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "kind", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 9),
    key=st.sampled_from(["type", "properties", "geometry", "id", "kind", "level", "heading_deg", "follows", "coordinates"]),
    value=JSON,
)
def test_whatever_a_feature_holds_the_loader_tells_faults_and_never_fails(files, which, key, value):
    files.restore()
    one = files.features[which]
    place = {"coordinates": one["geometry"], "type": one, "properties": one, "geometry": one}.get(key, one["properties"])
    place[key] = value
    faults = files.faults()
    assert all(fault.isprintable() for fault in faults), faults
