from perception.crossings import Crossings
from site_models.schema import Camera, Datum, GroundHomography, Level, Portal, Site
from twin.events.observations import DetectedBox, FrameObserved

# One pixel is 10 cm: the camera sees x 0..40, y 0..20; the portal's line is at x = 5, y 5..15.
SITE = Site(
    name="lot",
    datum=Datum(latitude=0.0, longitude=0.0),
    levels=(Level(id="ground"), Level(id="roof", elevation_m=3.0)),
    portals=(Portal(id="gate", level="ground", role="boundary", direction="in", line_m=((5.0, 5.0), (5.0, 15.0))),),
    cameras=tuple(
        Camera(
            id=name,
            level=level,
            frame_px=(400, 200),
            geometry=GroundHomography(matrix=(0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0)),
            range_m=500.0,
        )
        for name, level in (("north", "ground"), ("top", "roof"))
    ),
)


def frame(*bottoms, camera="north", unchanged=()):
    boxes = tuple(
        DetectedBox(tracklet=f"t{x}", kind="car", score=0.9, box_px=(x - 20, y - 30, x + 20, y), box_sigma_px=(1.0, 1.0))
        for x, y in bottoms
    )
    return FrameObserved(camera=camera, frame_px=(400, 200), detector="d", clock="ntp", boxes=boxes, unchanged=unchanged)


def test_a_box_that_stands_within_ten_metres_of_a_portal_may_be_crossing_it():
    crossing = Crossings(SITE)
    assert crossing(frame((50, 100)))
    assert crossing(frame((149, 100)))
    assert not crossing(frame((151, 100)))
    assert crossing(frame((300, 100), (149, 100)))


def test_what_stands_still_is_of_another_level_or_of_no_camera_is_no_crossing():
    crossing = Crossings(SITE)
    assert not crossing(frame())
    assert not crossing(frame(unchanged=("t1",)))
    assert not crossing(frame((50, 100), camera="top"))
    assert not crossing(frame((50, 100), camera="nowhere"))
