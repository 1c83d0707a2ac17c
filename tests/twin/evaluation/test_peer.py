"""The peer that fusion is compared with: its own rules, by hand, and a run of it where its library is installed."""

import importlib
import importlib.util

import pytest

from site_models.generate import generate
from twin.evaluation.benches import module
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved

SITE = generate(n_cameras=2, n_stalls=4, n_levels=1, overlap=0.2, seed=3)
LEVEL = SITE.levels[0].id
ENTRY = next(portal for portal in SITE.portals if portal.id == "entry")
EXIT = next(portal for portal in SITE.portals if portal.id == "exit")


def part(name):
    module("fusion_quality")
    return importlib.import_module(f"bench_fusion_quality.peer.{name}")


def drive(vehicles, key, seconds, points, speed=3.0):
    """A track at these places, a step a fifth of a second; returns when it is over."""
    shown = part("tracker").Shown
    for n, (x, y) in enumerate(points):
        track = shown(key=key, x=x, y=y, speed_mps=speed, covariance_m2=(0.1, 0.0, 0.1), was_updated=True)
        vehicles.step(round((seconds + n / 5) * SECOND), LEVEL, [track])
    return seconds + len(points) / 5


def through(portal, sign):
    """Ten places across a portal's middle, 0.6 m apart, inwards (+1) or outwards (-1)."""
    (ax, ay), (bx, by) = portal.line_m
    length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
    inwards = (-(by - ay) / length, (bx - ax) / length)
    return [
        ((ax + bx) / 2 + sign * (0.6 * n - 3.3) * inwards[0], (ay + by) / 2 + sign * (0.6 * n - 3.3) * inwards[1])
        for n in range(12)
    ]


def test_one_who_drives_in_and_out_has_one_stay_from_line_to_line():
    vehicles = part("vehicles").SiteVehicles(SITE)
    now = drive(vehicles, "a", 10.0, through(ENTRY, 1))
    drive(vehicles, "a", now, through(EXIT, -1))
    vehicles.finish()
    (stay,) = vehicles.sessions
    assert max(vehicles.tracks, key=lambda row: row["t"])["state"] == "left"
    assert stay["status"] == "closed"
    # 3.3 m before the line at 0.6 m a step: on it after 5.5 steps.
    assert stay["entry_t"] == pytest.approx((10.0 + 5.5 / 5) * SECOND, abs=2)
    assert stay["exit_t"] == pytest.approx((now + 5.5 / 5) * SECOND, abs=2)


def test_one_who_was_lost_is_the_nearest_who_comes_up():
    vehicles = part("vehicles").SiteVehicles(SITE)
    drive(vehicles, "a", 0.0, [(8.0, 10.0)] * 3)
    vehicles.step(round(2.0 * SECOND), LEVEL, [])
    drive(vehicles, "b", 4.0, [(14.0, 10.0)] * 2)
    drive(vehicles, "c", 5.0, [(14.0, 12.0)])
    assert [row["vehicle"] for row in vehicles.tracks if row["state"] == "moving"] == ["peer-1"] * 6


def test_a_frame_that_comes_too_late_is_left_out_and_steps_follow_the_clock():
    camera = SITE.cameras[0]

    def seen(sequence, at_s):
        key = DeviceKey(device="camera", boot_epoch=1, sequence=sequence)
        frame = FrameObserved(camera=camera.id, frame_px=camera.frame_px, detector="d", clock="unsynced")
        return ObservationEvent(site=SITE.name, key=key, occurred_at=round(at_s * SECOND), payload=frame)

    def tick(sequence, at_s):
        key = DeviceKey(device="clock", boot_epoch=1, sequence=sequence)
        return ObservationEvent(
            site=SITE.name, key=key, occurred_at=round(at_s * SECOND), payload=ClockTicked(worker="w", source="wall")
        )

    events = [tick(1, 10.0), seen(1, 12.1), seen(2, 12.0), tick(2, 10.1), tick(3, 10.2), seen(3, 12.3), tick(4, 10.4)]
    steps = list(part("places").Places(SITE).steps(events))
    assert steps == [(round(10.2 * SECOND), {LEVEL: []}), (round(10.4 * SECOND), {LEVEL: []})]


def test_what_two_cameras_see_close_together_is_one_and_one_camera_sees_two():
    merged = part("places")._merged
    assert merged([("north", (0.0, 0.0)), ("south", (1.0, 0.0))]) == [(0.5, 0.0)]
    assert len(merged([("north", (0.0, 0.0)), ("north", (1.0, 0.0))])) == 2
    assert len(merged([("north", (0.0, 0.0)), ("south", (4.0, 0.0))])) == 2


@pytest.mark.skipif(importlib.util.find_spec("stonesoup") is None, reason="Stone Soup is not installed")
def test_the_peer_stands_beside_the_fold_on_the_same_observations(monkeypatch):
    monkeypatch.setenv("BENCH_HOURS", "0.003")
    monkeypatch.setenv("BENCH_SCENE", "overlap")
    report = module("fusion_quality").run(1)
    ours, theirs = (report["reports"][name] for name in ("twin", "peer"))
    assert ours["tracking"]["n"] == theirs["tracking"]["n"] > 0
    assert "review" not in theirs  # it is never in doubt
    assert report["ratio"]["idf1"] == pytest.approx(report["ours"]["idf1"] / report["reference"]["idf1"], abs=1e-3)
