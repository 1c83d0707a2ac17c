"""What cameras look at, against overlays made one by one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from shapely import Polygon

from site_models.generate import generate
from twin.graph.coverage import PIECE_M2, coverage, footprints


@pytest.fixture(scope="module", params=[1, 2])
def site(request):
    return generate(n_cameras=8, n_stalls=60, n_levels=request.param, overlap=0.3, seed=request.param)


def test_a_camera_sees_what_its_footprint_covers_a_vehicle_s_ground_of(site):
    views, level_of = footprints(site), {camera.id: camera.level for camera in site.cameras}
    members = [*(("zone", one) for one in site.zones), *(("stall", one) for one in site.stalls)]
    assert coverage(site).seen == {
        camera: [
            (kind, one.id)
            for kind, one in members
            if one.level == level_of[camera] and view.intersection(Polygon(one.ring_m)).area >= PIECE_M2
        ]
        for camera, view in views.items()
    }


def test_a_zone_s_pieces_are_those_of_its_overlays_one_after_another(site):
    views, level_of = footprints(site), {camera.id: camera.level for camera in site.cameras}
    for zone in site.zones:
        cells = [(frozenset(), Polygon(zone.ring_m))]
        for camera in sorted(name for name in views if level_of[name] == zone.level):
            view = views[camera]
            halves = [(seen | {camera}, ground.intersection(view)) for seen, ground in cells]
            halves += [(seen, ground.difference(view)) for seen, ground in cells]
            cells = [half for half in halves if half[1].area >= PIECE_M2]
        assert set(coverage(site).pieces_by_zone[zone.id]) == {seen for seen, _ in cells if seen}


def test_a_site_is_looked_at_once(site):
    assert coverage(site) is coverage(site)


def test_a_zone_that_holds_no_vehicle_has_no_piece_and_nobody_sees_it(site):
    zone = site.zones[0]
    (x, y), *_ = zone.ring_m
    small = replace(site, zones=(replace(zone, ring_m=((x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1))), *site.zones[1:]))
    found = coverage(small)
    assert found.pieces_by_zone.get(zone.id, ()) == ()
    assert not [one for seen in found.seen.values() for one in seen if one == ("zone", zone.id)]
