"""The noise that comes out, measured against FORMATS.md's table; the truth fed in is made by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from perception.synthetic.looks import Looks
from perception.synthetic.profiles import CLEAN, DEFAULT, HARSH
from perception.synthetic.seeds import generator
from perception.synthetic.sensors import CameraSensor
from perception.synthetic.traffic import TruthFrame, VehicleState
from perception.synthetic.vehicles import Fleet, Vehicle
from twin.events.ids import SECOND
from twin.events.observations import FrameObserved, TrackletEmbedded

NO_GAPS = {"break_s": None, "dropped": 0.0, "late": 0.0, "outages_a_day": 0}


def _state(name, x_m, y_m, speed_mps=0.01, body="hatchback", heading_deg=0.0):
    vehicle = Vehicle(id=name, body=body, look=sum(map(ord, name)), plate="A", pace=1.0)
    kind = "moving" if speed_mps else "parked"
    return VehicleState(
        vehicle=vehicle,
        level="ground",
        x_m=x_m,
        y_m=y_m,
        heading_deg=heading_deg,
        speed_mps=speed_mps,
        stall=None,
        state=kind,
    )


def _run(site, start_at, profile, states, seconds, seed=1):
    """Deliveries of the camera 'east' while ``states(second)`` are there."""
    camera = next(camera for camera in site.cameras if camera.id == "east")
    sensor = CameraSensor(site, camera, profile, seed, start_at)
    deliveries = []
    for end_at in range(start_at + SECOND, start_at + (seconds + 1) * SECOND, SECOND):
        times = sensor.capture_times(end_at)
        frames = [TruthFrame(at=at, vehicles=tuple(states((at - start_at) / SECOND))) for at in times]
        deliveries += sensor.observe(frames)
    return sensor, deliveries


def _frames(deliveries):
    return [one.event.payload for one in deliveries if isinstance(one.event.payload, FrameObserved)]


@pytest.mark.parametrize("profile", [CLEAN, DEFAULT, HARSH], ids=lambda one: one.name)
def test_detection_and_false_boxes_are_as_the_table_says(lot, start_at, profile):
    slow = _state("one", 25.0, 6.0)
    _, deliveries = _run(lot, start_at, replace(profile, **NO_GAPS), lambda _: [slow], 300)
    frames = _frames(deliveries)
    real = deliveries and Counter(box.tracklet for frame in frames for box in frame.boxes).most_common(1)[0]
    assert real[1] / len(frames) == pytest.approx(profile.detection, abs=0.015)
    n_false = sum(len(frame.boxes) for frame in frames) - real[1]
    assert n_false / len(frames) == pytest.approx(profile.false_boxes, rel=0.35, abs=1e-9)


def test_false_boxes_come_in_clusters(lot, start_at):
    _, deliveries = _run(lot, start_at, replace(HARSH, **NO_GAPS), lambda _: [], 400)
    per_tracklet = Counter(box.tracklet for frame in _frames(deliveries) for box in frame.boxes)
    assert np.mean(list(per_tracklet.values())) > 3  # frames each; 1 if they came one by one


@pytest.mark.parametrize("profile", [DEFAULT, HARSH], ids=lambda one: one.name)
def test_box_errors_have_the_stated_size_and_are_correlated_over_half_a_second(lot, start_at, profile):
    slow = _state("one", 25.0, 6.0)
    sure = replace(profile, detection=1.0, false_boxes=0.0, **NO_GAPS)
    _, clean = _run(lot, start_at, replace(CLEAN, **NO_GAPS), lambda _: [slow], 1)
    _, noisy = _run(lot, start_at, sure, lambda _: [slow], 400)
    true_box = _frames(clean)[0].boxes[0].box_px
    boxes = np.array([frame.boxes[0].box_px for frame in _frames(noisy)])
    sigma_px = _frames(noisy)[0].boxes[0].box_sigma_px
    errors = boxes - true_box
    size = np.array([true_box[2] - true_box[0], true_box[3] - true_box[1]] * 2)
    assert np.std(errors, axis=0) / size == pytest.approx(profile.box_sigma, rel=0.12)
    assert np.abs(np.mean(errors / size)) < profile.box_sigma / 5
    assert sigma_px == pytest.approx(profile.box_sigma * size[:2], abs=0.01)
    after_half_a_second = np.mean([np.corrcoef(edge[:-5], edge[5:])[0, 1] for edge in errors.T])
    assert after_half_a_second == pytest.approx(math.exp(-1), abs=0.08)


@pytest.mark.parametrize(("profile", "is_broken"), [(CLEAN, False), (DEFAULT, True), (HARSH, True)])
def test_tracklets_break_as_often_as_the_table_says(lot, start_at, profile, is_broken):
    slow = _state("one", 25.0, 6.0)
    quiet = replace(profile, false_boxes=0.0, dropped=0.0, outages_a_day=0)
    _, deliveries = _run(lot, start_at, quiet, lambda _: [slow], 600)
    n_tracklets = len({box.tracklet for frame in _frames(deliveries) for box in frame.boxes})
    expected = 600 / profile.break_s if is_broken else 1
    assert n_tracklets == pytest.approx(expected, abs=4 * math.sqrt(expected) if is_broken else 0)


@pytest.mark.parametrize("profile", [CLEAN, HARSH], ids=lambda one: one.name)
def test_crossing_boxes_exchange_their_tracklets_in_the_stated_share(lot, start_at, profile):
    # The camera looks along the aisle: the far vehicle swings behind the near one once every 4 s and comes out again.
    def states(second):
        return [_state("near", 30.0, 4.0), _state("other", 30.0, 4.0 + 5.0 * abs(math.sin(second * math.pi / 4)))]

    sure = replace(profile, detection=1.0, false_boxes=0.0, box_sigma=0.0, **NO_GAPS)
    _, deliveries = _run(lot, start_at, sure, states, 480)
    left_first = []
    for frame in _frames(deliveries):
        if len(frame.boxes) == 2 and abs(frame.boxes[0].box_px[0] - frame.boxes[1].box_px[0]) > 60:
            left_first.append(frame.boxes[0].box_px[0] < frame.boxes[1].box_px[0])
    n_swaps = np.count_nonzero(np.diff(left_first))
    assert n_swaps / 120 == pytest.approx(profile.swap, abs=0.1)


def test_what_is_covered_by_seventy_percent_or_twelve_pixels_small_is_not_detected(lot, start_at):
    far = _state("far", -300.0, 60.0)
    _, deliveries = _run(lot, start_at, CLEAN, lambda _: [far], 2)
    assert all(not frame.boxes for frame in _frames(deliveries))
    # A bus between the camera at (46, -6) and a motorcycle close behind it.
    hidden = [_state("moto", 30.0, 6.0, body="motorcycle"), _state("bus", 33.0, 3.5, body="bus", heading_deg=135.0)]
    _, deliveries = _run(lot, start_at, CLEAN, lambda _: hidden, 2)
    assert {box.kind for frame in _frames(deliveries) for box in frame.boxes} == {"bus"}
    _, deliveries = _run(lot, start_at, CLEAN, lambda _: hidden[:1], 2)
    assert {box.kind for frame in _frames(deliveries) for box in frame.boxes} == {"motorcycle"}


def test_a_wall_hides_what_is_behind_it_and_not_what_is_taller(lot, start_at):
    def wall(height_m):
        one = replace(lot.obstacles[0], kind="wall", outline_m=((20.0, 3.0), (34.0, 3.0)), height_m=height_m)
        return replace(lot, obstacles=(one,))

    behind = _state("one", 26.0, 4.2)
    for height_m, n_boxes in ((5.0, 0), (0.2, 1)):
        _, deliveries = _run(wall(height_m), start_at, CLEAN, lambda _: [behind], 1)
        assert {len(frame.boxes) for frame in _frames(deliveries)} == {n_boxes}


def test_parked_vehicles_are_sent_as_unchanged_with_a_full_box_every_five_seconds(lot, start_at):
    parked = _state("one", 25.0, 6.0, speed_mps=0.0)
    _, deliveries = _run(lot, start_at, CLEAN, lambda _: [parked], 60)
    frames = _frames(deliveries)
    full = [number for number, frame in enumerate(frames) if frame.boxes]
    assert all(len(frame.boxes) + len(frame.unchanged) == 1 for frame in frames)
    assert set(np.diff([number for number in full if number > 15])) == {50}


def test_a_box_cut_by_the_frame_says_by_which_edge(lot, start_at):
    camera = next(camera for camera in lot.cameras if camera.id == "east")
    cut = {}
    for x in np.arange(4.0, 46.0, 1.0):
        for y in (-4.0, 6.0, 16.0):
            _, deliveries = _run(lot, start_at, CLEAN, lambda _, x=x, y=y: [_state("one", x, y)], 1)
            for box in _frames(deliveries)[0].boxes:
                for edge in box.truncated:
                    cut[edge] = box.box_px
    assert {"right", "bottom"} <= set(cut)
    assert cut["right"][2] == camera.frame_px[0]
    assert cut["bottom"][3] == camera.frame_px[1]


@pytest.mark.parametrize("profile", [CLEAN, DEFAULT, HARSH], ids=lambda one: one.name)
def test_frames_are_dropped_and_delayed_as_the_table_says(lot, start_at, profile):
    _, deliveries = _run(lot, start_at, replace(profile, false_boxes=0.0, outages_a_day=0), lambda _: [], 1000)
    assert len(deliveries) / 10_000 == pytest.approx(1 - profile.dropped, abs=0.006)
    sensor, _ = _run(lot, start_at, profile, lambda _: [], 0)
    offset_us, drift = sensor.clock_error
    assert abs(offset_us) <= profile.clock_offset_s * SECOND
    assert abs(drift) <= profile.clock_drift_ppm * 1e-6
    true_at = [start_at + (one.event.occurred_at - start_at - offset_us) / (1 + drift) for one in deliveries]
    delays_s = np.array([one.arrival_at - at for one, at in zip(deliveries, true_at, strict=True)]) / SECOND
    assert delays_s.min() >= 0.0199
    assert delays_s.max() <= 5.02 + 30 * profile.delay_mean_s
    assert np.median(delays_s) == pytest.approx(0.02 + profile.delay_mean_s * math.log(2), rel=0.1)
    assert np.mean(delays_s > 2.5) == pytest.approx(profile.late / 2, abs=0.004)
    assert [one.event.key.sequence for one in deliveries] == list(range(1, len(deliveries) + 1))


def test_an_outage_is_silence_of_the_stated_length(lot, start_at):
    days = replace(HARSH, dropped=0.0, false_boxes=0.0)
    camera = replace(lot.cameras[0], fps=0.2)
    sensor = CameraSensor(lot, camera, days, 3, start_at)
    times = list(sensor.capture_times(start_at + 86_400 * SECOND))
    sent = sensor.observe([TruthFrame(at=at, vehicles=()) for at in times])
    silent_s = (len(times) - len(sent)) * 5
    assert 4 * 10 - 20 <= silent_s <= 4 * 240 + 20
    assert silent_s > 0


@pytest.mark.parametrize("profile", [CLEAN, DEFAULT, HARSH], ids=lambda one: one.name)
def test_an_embedding_finds_its_vehicle_among_a_hundred_others_as_often_as_stated(profile):
    hits, n = 0, 0
    for draw in range(10):
        fleet, looks = Fleet(generator(draw, "fleet"), profile.lookalikes, on_road=False), Looks(draw, profile.look_sigma)
        vehicles = [fleet.draw() for _ in range(101)]
        one, other = (
            np.array([np.frombuffer(looks.embedding(v, camera, camera, 1), np.int8) for v in vehicles]).astype(float)
            for camera in ("a", "b")
        )
        hits += int(np.sum(np.argmax(one @ other.T, axis=1) == np.arange(101)))
        n += 101
    stated = {"clean": 1.0, "default": 0.75, "harsh": 0.55}[profile.name]
    assert hits / n == pytest.approx(stated, abs=0.035)


@pytest.mark.parametrize("profile", [DEFAULT, HARSH], ids=lambda one: one.name)
def test_the_stated_share_of_vehicles_has_a_lookalike(profile):
    fleet = Fleet(generator(1, "fleet"), profile.lookalikes, on_road=False)
    vehicles = [fleet.draw() for _ in range(3000)]
    shared = Counter(vehicle.look for vehicle in vehicles)
    assert np.mean([shared[vehicle.look] > 1 for vehicle in vehicles]) == pytest.approx(profile.lookalikes, abs=0.03)
    assert max(shared.values()) == 2


def test_an_embedding_is_sent_soon_and_again_while_the_vehicle_moves(lot, start_at):
    slow = _state("one", 25.0, 6.0)
    _, deliveries = _run(lot, start_at, CLEAN, lambda _: [slow], 45)
    sent = [one.event for one in deliveries if isinstance(one.event.payload, TrackletEmbedded)]
    seconds = [(event.occurred_at - start_at) / SECOND for event in sent]
    assert seconds[0] == pytest.approx(0.6, abs=0.15)
    assert np.diff(seconds) == pytest.approx(10.0, abs=0.15)
    assert len(sent) == 5
    assert all(len(event.payload.personal.embedding) == 128 for event in sent)
