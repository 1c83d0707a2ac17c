"""Loading sites: what is sound comes back as it was, and every fault is named with its file and feature."""

import json
import math
import tomllib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from shapely import Polygon

from site_models.camera_entries import fit_homography
from site_models.dump import dump_site
from site_models.frame import SiteFrame
from site_models.generate import generate
from site_models.load import check_site, load_site, resolve
from site_models.schema import Datum, GateTerms, GroundHomography
from twin.errors import BadInput, NotFound, SiteFault
from twin.spatial.camera import GroundCamera


@pytest.fixture
def folder(tmp_path):
    dump_site(generate(n_cameras=2, n_stalls=4, n_levels=1, overlap=0.2, seed=1), tmp_path)
    return tmp_path


def edit(folder, name, change):
    path = folder / "map.geojson"
    collection = json.loads(path.read_text())
    ids = [one["properties"]["id"] for one in collection["features"]]
    full_name = name if name in ids else next(one for one in ids if one.endswith(name))
    feature = next(one for one in collection["features"] if one["properties"]["id"] == full_name)
    change(feature)
    path.write_text(json.dumps(collection))
    return full_name


def rewrite(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_three_broken_features_are_three_faults_with_their_names(folder):
    broken = [
        edit(folder, "0a01", lambda one: one["properties"].update(zone="nowhere")),
        edit(folder, "entry", lambda one: one["geometry"]["coordinates"].pop()),
        edit(folder, "lane-south", lambda one: one["properties"].update(colour="red")),
    ]
    with pytest.raises(SiteFault) as caught:
        load_site(folder)
    for name in broken:
        assert any(line.startswith("map.geojson: ") and f"'{name}'" in line for line in caught.value.faults), name
    assert "colour" in str(caught.value)


@pytest.mark.parametrize(
    ("feature", "change", "message"),
    [
        ("0a01", lambda one: one["properties"].update(level="attic"), "level 'attic' is not in site.toml"),
        ("0a01", lambda one: one["properties"].update(kind="boat"), "Invalid value 'boat'"),
        ("0a01", lambda one: one["geometry"].update(type="Point"), "its geometry is Point, this kind is a Polygon"),
        ("0a01", lambda one: one["geometry"]["coordinates"][0].pop(), "a ring ends where it starts"),
        ("0a01", lambda one: one["geometry"]["coordinates"][0].__setitem__(1, [5]), "is not [longitude, latitude]"),
        ("0a01", lambda one: one["geometry"]["coordinates"][0].__setitem__(1, [200, 10]), "outside WGS 84"),
        ("0a01", lambda one: one["geometry"]["coordinates"][0].__setitem__(1, [10.0, 10.0]), "km from the datum"),
        ("lane-south", lambda one: one["properties"].update(follows=["ghost"]), "follows lane 'ghost', which does not exist"),
        ("entry", lambda one: one["properties"].update(role="level"), "names to_level"),
    ],
)
def test_a_fault_of_a_feature_is_said(folder, feature, change, message):
    name = edit(folder, feature, change)
    _, faults = check_site(folder)
    assert any(message in line and f"'{name}'" in line for line in faults), faults


def test_a_ring_that_crosses_itself_is_refused(folder):
    def cross(one):
        ring = one["geometry"]["coordinates"][0]
        ring[1], ring[2] = ring[2], ring[1]

    name = edit(folder, "0a01", cross)
    _, faults = check_site(folder)
    assert any(f"'{name}': the outline crosses itself" in line for line in faults)


def test_a_stall_on_another_and_one_outside_its_zone_are_refused(folder):
    stalls = {}
    edit(folder, "0a01", lambda one: stalls.update(one["geometry"]))
    name = edit(folder, "0a02", lambda one: one["geometry"].update(stalls))
    _, faults = check_site(folder)
    assert any("overlaps stall" in line for line in faults)
    edit(folder, "0b01", lambda one: one["geometry"].update(stalls))
    _, faults = check_site(folder)
    assert any("outside its zone" in line for line in faults), name


def test_a_car_park_without_exit_or_way_is_refused(folder):
    edit(folder, "exit", lambda one: one["properties"].update(direction="in"))
    edit(folder, "lane-entry", lambda one: one["properties"].update(follows=[]))
    _, faults = check_site(folder)
    assert any("no boundary portal with direction out" in line for line in faults)
    assert any("no lane leads" in line for line in faults)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 960", "width = 0", "width"),
        ("fx = ", "hfov_deg = 80.0\nfx = ", "several times or not at all"),
        ("fps = ", "zoom = 2\nfps = ", "unknown field `zoom`"),
        ("sigma_m = 0.1", "sigma_m = nan", "is not a number"),
        ("rotation = [", "rotation = [9.0, ", "Expected `array` of length 9"),
        ("position_m = [", "homography = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]\nposition_m = [", "give exactly one"),
        ("range_m = ", "region_px = [[0.0, 0.0], [1.0, 1.0]]\nrange_m = ", "a polygon has at least 3"),
    ],
)
def test_a_fault_of_a_camera_is_said_with_its_id(folder, old, new, message):
    rewrite(folder, "cameras.toml", old, new)
    _, faults = check_site(folder)
    assert any(line.startswith("cameras.toml: camera 'entry'") or "camera 'exit'" in line for line in faults), faults
    assert any(message in line for line in faults), faults


def test_files_that_are_missing_or_unreadable_are_faults_not_tracebacks(folder, tmp_path):
    (folder / "map.geojson").write_bytes(b"\xff\xfe{")
    (folder / "cameras.toml").write_text("= broken")
    (folder / "site.toml").unlink()
    _, faults = check_site(folder)
    assert [line.split(":")[0] for line in faults] == ["site.toml", "cameras.toml", "map.geojson"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"type":"FeatureCollection","features":[NaN]}', "[" * 100_000])
def test_json_that_is_no_map_is_a_fault(folder, text):
    (folder / "map.geojson").write_text(text)
    _, faults = check_site(folder)
    assert any(line.startswith("map.geojson") for line in faults)


PARAMETERS = [(1, 1, 1, 0.0), (2, 10, 1, 0.5), (5, 24, 1, 0.0), (8, 60, 1, 0.3), (20, 100, 2, 0.2), (7, 31, 3, 1.0)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("n_cameras", "n_stalls", "n_levels", "overlap"), PARAMETERS)
def test_a_generated_site_is_sound_exact_and_survives_its_files(tmp_path, n_cameras, n_stalls, n_levels, overlap, seed):
    asked = {"n_cameras": n_cameras, "n_stalls": n_stalls, "n_levels": n_levels, "overlap": overlap, "seed": seed}
    site = generate(**asked)
    assert (len(site.cameras), len(site.stalls), len(site.levels)) == (n_cameras, n_stalls, n_levels)
    assert generate(**asked) == site
    dump_site(site, tmp_path)
    loaded, faults = check_site(tmp_path)
    assert faults == ()
    for ours, theirs in zip(site.stalls, loaded.stalls, strict=True):
        assert ours.id == theirs.id
        np.testing.assert_allclose(sorted(ours.ring_m), sorted(theirs.ring_m), atol=2e-4)
    assert loaded.lanes[0].follows == site.lanes[0].follows
    assert loaded.cameras == site.cameras


def test_a_generator_refuses_numbers_that_make_no_site():
    with pytest.raises(BadInput, match="give at least one camera"):
        generate(n_cameras=0, n_stalls=4, n_levels=1, overlap=0.2, seed=1)


@settings(max_examples=50, deadline=None)
@given(st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(-80, 80), st.floats(-179, 179), st.floats(-360, 360))
def test_the_site_frame_comes_back_from_wgs84(x, y, latitude, longitude, bearing):
    frame = SiteFrame(Datum(latitude=latitude, longitude=longitude, bearing_deg=bearing))
    back = frame.to_m(*frame.to_wgs84((x, y)))
    assert math.dist(back, (x, y)) < 2e-3


def test_north_of_the_datum_is_ahead_where_the_bearing_is_zero_and_left_where_it_is_east():
    north = (5.0, 52.001)
    assert SiteFrame(Datum(latitude=52.0, longitude=5.0)).to_m(*north) == pytest.approx((0.0, 111.3), abs=0.2)
    assert SiteFrame(Datum(latitude=52.0, longitude=5.0, bearing_deg=90.0)).to_m(*north) == pytest.approx(
        (-111.3, 0.0), abs=0.2
    )


def test_pairs_on_a_line_and_too_few_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        fit_homography(((0, 0, 0, 0),) * 3)
    with pytest.raises(ValueError, match="lie on a line"):
        fit_homography(tuple((float(k), 2.0 * k, float(k), 2.0 * k) for k in range(5)))


def test_a_packaged_site_is_found_by_name_and_an_unknown_one_named():
    assert resolve("demo_lot").name == "demo_lot"
    with pytest.raises(NotFound, match="packaged are demo_lot, motorway"):
        resolve("nowhere")


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(resolve("demo_lot"))


def test_the_demo_lot_is_what_the_issue_of_a_demo_needs(demo_lot):
    assert len(demo_lot.stalls) >= 24
    assert len(demo_lot.cameras) >= 4
    views = [Polygon(GroundCamera.of(camera, demo_lot.levels[0]).footprint_m()) for camera in demo_lot.cameras]
    assert any(a.intersection(b).area > 50 for a, b in pairwise(views))
    assert sum(portal.role == "blind" for portal in demo_lot.portals) == 2


def test_every_stall_of_the_demo_lot_is_in_some_cameras_view(demo_lot):
    views = [Polygon(GroundCamera.of(camera, demo_lot.levels[0]).footprint_m()) for camera in demo_lot.cameras]
    for stall in demo_lot.stalls:
        assert any(view.contains(Polygon(stall.ring_m).centroid) for view in views), stall.id


def test_the_motorways_pairs_lie_where_they_should_and_its_lanes_are_as_wide(demo_lot):
    site = load_site(resolve("motorway"))
    camera = GroundCamera.of(site.cameras[0], site.levels[0])
    ends = np.array([(830.1, 335.0), (849.4, 389.0), (489.5, 354.0)])
    found = camera.to_ground(ends, np.ones((3, 2))).points_m
    assert math.dist(found[0], found[1]) == pytest.approx(3.0, abs=0.25)  # a lane mark
    assert math.dist(found[0], found[2]) == pytest.approx(7.0, abs=0.35)  # two lanes


def test_the_motorways_published_residuals_are_those_of_the_matrix_in_use():
    folder = resolve("motorway")
    pairs = np.array(tomllib.loads((folder / "cameras.toml").read_text(encoding="utf-8"))["cameras"][0]["pairs"])
    geometry = load_site(folder).cameras[0].geometry
    assert isinstance(geometry, GroundHomography)
    matrix = np.array(geometry.matrix).reshape(3, 3)
    off_m = np.hypot(*(_projected(matrix, pairs[:, :2]) - pairs[:, 2:]).T)
    off_px = np.hypot(*(_projected(np.linalg.inv(matrix), pairs[:, 2:]) - pairs[:, :2]).T)
    is_near = pairs[:, 3] <= 36
    rms_px, rms_m = (math.sqrt((off**2).mean()) for off in (off_px, off_m))
    assert [rms_px, off_px.max()] == pytest.approx([4.0, 8.2], abs=0.06)
    assert [rms_m, off_m[is_near].max(), off_m[~is_near].max()] == pytest.approx([0.25, 0.31, 0.50], abs=0.006)


def _projected(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return seen[:, :2] / seen[:, 2:]


TARIFF = '[[tariffs]]\nid = "day"\nversion = 1\ncurrency = "EUR"\nstep_minutes = 15\nprice_minor = 60\n'


def test_tariffs_come_back_as_they_were(folder, tmp_path):
    later = TARIFF.replace("version = 1", "version = 2") + "holds_from = 2026-07-01T00:00:00+02:00\nmax_minor = 900\n"
    path = folder / "site.toml"
    path.write_text(path.read_text() + TARIFF + later)
    site = load_site(folder)
    assert [(one.version, one.from_us, one.max_minor) for one in site.tariffs] == [
        (1, 0, None),
        (2, 1_782_856_800_000_000, 900),
    ]
    dump_site(site, tmp_path / "again")
    assert load_site(tmp_path / "again").tariffs == site.tariffs


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (TARIFF + TARIFF, "is there twice"),
        (TARIFF + TARIFF.replace("version = 1", "version = 2"), "holds from the same time"),
        (TARIFF.replace("60", "0.6"), "price_minor"),
        (TARIFF.replace("EUR", "euro"), "currency"),
        (TARIFF + "colour = 3\n", "colour"),
        (TARIFF + "holds_from = 2026-07-01T00:00:00\n", "no UTC offset"),
    ],
)
def test_a_fault_of_a_tariff_is_said(folder, given, message):
    path = folder / "site.toml"
    path.write_text(path.read_text() + given)
    _, faults = check_site(folder)
    assert any(message in line for line in faults), faults


GATES = '[gates]\ncapacity = 40\nunknown_in = "refuse"\nunknown_out = "open"\nvalid_s = 30\n'


def test_what_gates_answer_comes_back_as_it_was(folder, tmp_path):
    path = folder / "site.toml"
    path.write_text(path.read_text() + GATES)
    site = load_site(folder)
    assert site.gates == GateTerms(capacity=40, unknown_in="refuse", unknown_out="open", valid_s=30)
    dump_site(site, tmp_path / "again")
    assert load_site(tmp_path / "again").gates == site.gates


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GATES.replace('unknown_out = "open"', 'unknown_out = "refuse"'), "unknown_out"),
        (GATES.replace("40", "0"), "capacity"),
        (GATES + "colour = 3\n", "colour"),
    ],
)
def test_a_fault_of_the_gates_is_said(folder, given, message):
    path = folder / "site.toml"
    path.write_text(path.read_text() + given)
    _, faults = check_site(folder)
    assert any(message in fault for fault in faults)


def test_what_a_gate_does_without_the_twin_comes_back_as_it_was(folder, tmp_path):
    site = load_site(folder)
    portals = tuple(replace(one, if_unreachable="open") if one.role == "boundary" else one for one in site.portals)
    dump_site(replace(site, portals=portals), tmp_path / "again")
    assert load_site(tmp_path / "again").portals == portals
