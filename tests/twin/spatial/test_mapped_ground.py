"""What ground is the site's: what is drawn, or all of it while nothing is drawn yet."""

from msgspec.structs import replace

from site_models.begin import begin_site
from site_models.schema import Zone
from twin.spatial.zones import SiteMap

BARE = begin_site("yard", (52.09, 5.12), [("gate", (960, 540))])
DRAWN = replace(
    BARE, zones=(Zone(id="z", level="ground", kind="parking", ring_m=((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))),)
)


def test_a_vehicle_is_on_a_site_of_which_nothing_is_drawn_yet():
    assert SiteMap(BARE).is_mapped("ground", 30.0, 30.0)


def test_it_is_beside_the_site_once_a_zone_is_drawn_elsewhere():
    assert SiteMap(DRAWN).is_mapped("ground", 5.0, 5.0)
    assert not SiteMap(DRAWN).is_mapped("ground", 30.0, 30.0)
