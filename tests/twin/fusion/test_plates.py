"""Number plates as evidence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tracks import car, view

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import Personal, PlateRead, TrackletEmbedded
from twin.fusion import ordering
from twin.fusion.appearance import N_PLATED, PRIOR_NATS, View, log_likelihood_ratio, plates_of, with_views
from twin.fusion.exchange import is_strange
from twin.fusion.leaving import recognized
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import OrderingState
from twin.fusion.plates import LEAST_NATS, MOST_NATS, Read, read
from twin.fusion.plates import log_likelihood_ratio as of_plates
from twin.fusion.scene import Scene

T0 = 1_767_268_800_000_000
SURE = 0.95
plates = st.text("ABCDEFGHKLMNPRSTUVWXYZ123456789", min_size=5, max_size=8)


def reads(*texts, score=SURE):
    return tuple(Read(text, score) for text in texts)


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("ABC1234", "ABC1234", 4.0, MOST_NATS),
        ("ABC1234", "ABC1Z34", 4.0, MOST_NATS),  # readers take 2 for Z
        ("ABC1234", "ABC134", 3.0, MOST_NATS),  # one was missed
        ("ABC1234", "AXC1274", 1.0, MOST_NATS),  # two are wrong
        ("ABC1234", "KLM7890", LEAST_NATS, -1.0),
        ("ABC1234", "ABK7890", LEAST_NATS, -1.0),  # two alike by chance
    ],
)
def test_readings_speak_for_one_plate_by_how_many_characters_agree(one, other, least, most):
    nats = of_plates(reads(one), reads(other))
    assert least <= nats <= most
    assert nats == pytest.approx(of_plates(reads(other), reads(one)), abs=1e-9)


@given(plates, plates, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_surer_reader_says_more_and_nobody_says_more_than_the_bounds(one, other, score, less):
    low, high = sorted((score, less))
    sure, unsure = (of_plates(reads(one, score=s), reads(other, score=s)) for s in (high, low))
    assert LEAST_NATS <= sure <= MOST_NATS
    assert abs(unsure) <= abs(sure) + 1e-6
    assert of_plates(reads(one, score=0.0), reads(other)) == pytest.approx(0.0, abs=1e-6)
    assert of_plates((), reads(other)) == 0.0


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_the_longest_plates_stay_within_the_bounds(score):
    longest = reads("WWWWWWWWWWWWWWWW", score=score)
    assert LEAST_NATS <= of_plates(longest, longest) <= MOST_NATS
    assert LEAST_NATS <= of_plates(longest, reads("1111111111111111", score=score)) <= MOST_NATS


def test_readings_that_agree_outvote_one_of_something_else():
    known = reads("TAXI9", "ABC1234", "ABC1234", "A8C1234")
    assert of_plates(known, reads("ABC1234")) > 4.0
    assert of_plates(known, reads("TAXI9")) < 0.0
    assert of_plates(known, reads("XYZ7890")) < of_plates(reads("ABC1234"), reads("XYZ7890")), "they are surer together"


def test_real_mistakes_of_a_reader_tell_vehicles_apart_nearly_always():
    rng = np.random.default_rng(7)
    letters, digits = "ABCDEFGHKLMNPRSTUVWXYZ", "0123456789"

    def plate():
        return "".join(rng.choice(list(letters), 3)) + "".join(rng.choice(list(digits), 4))

    def misread(text):
        return "".join(rng.choice(list(letters + digits)) if rng.random() < 0.1 else one for one in text)

    same = [of_plates(reads(misread(one), score=0.9), reads(misread(one), score=0.9)) for one in (plate() for _ in range(300))]
    other = [of_plates(reads(misread(plate()), score=0.9), reads(misread(plate()), score=0.9)) for _ in range(300)]
    assert np.mean(np.array(same) > 2.0) > 0.95
    assert np.mean(np.array(other) < 0.0) > 0.99
    assert np.mean(np.array(other) > 2.0) < 0.005


def test_what_is_no_plate_is_none_and_what_is_is_bare():
    assert read("abc-12 34", 0.7) == Read("ABC1234", 0.7)
    assert read("A1", 0.9) is None
    assert read("A" * 100_000, 0.9) is None, "comparing two of these would take hours"
    assert read("ÄÖ 77", 7.0) == Read("ÄÖ77", 1.0)


def plated(text, *cosines, score=SURE):
    return replace(view(*cosines), plate=Read(text, score))


def test_plates_add_to_looks_and_decide_among_lookalikes():
    red, ours, theirs = view(1.0), plated("ABC1234", 1.0), plated("XYZ7890", 1.0)
    alike = log_likelihood_ratio((red,), (red,), PRIOR_NATS)
    assert log_likelihood_ratio((ours,), (plated("ABC1234", 1.0),), PRIOR_NATS) > alike + 4.0
    assert log_likelihood_ratio((ours,), (theirs,), PRIOR_NATS) < alike - 1.0
    assert log_likelihood_ratio((ours,), (red,), PRIOR_NATS) == alike, "one of them has none"


def test_a_gallery_keeps_plates_apart_from_sides():
    first, front = view(1.0), [replace(view(0.9 - n / 100), octant=0) for n in range(12)]
    known = [replace(plated(f"ABC{n}234", 0.5 + n / 100), octant=0) for n in range(6)]
    gallery = with_views((first,), [*known, *front])
    assert [one.text for one in plates_of(gallery)] == [f"ABC{n}234" for n in range(6)][-N_PLATED:]
    only = View(b"", plate=Read("ABC1234", 0.9))
    assert with_views((only,), [only, View(b"")]) == (only,), "what has neither look nor plate is nothing"


def test_a_plate_of_another_makes_a_look_strange_where_looks_are_not_sure(lot):
    gallery = (plated("ABC1234", 1.0, score=0.99), plated("ABC1234", 0.99, score=0.99))
    doubtful = 0.4
    assert not is_strange((view(doubtful),), gallery, PRIOR_NATS)
    assert is_strange((plated("XYZ7890", doubtful, score=0.99),), gallery, PRIOR_NATS)


def test_who_leaves_by_another_plate_than_it_came_with_is_in_doubt(lot):
    scene, came = Scene(lot, DEFAULTS), plated("ABC1234", 1.0, score=0.99)
    between = [replace(view(0.9 + n / 1000), octant=n % 8) for n in range(4)]
    for text, is_sure in (("ABC1234", True), ("XYZ7890", False)):
        gallery = with_views((came,), [*between, plated(text, 0.8, score=0.99), plated(text, 0.81, score=0.99)])
        leaver = car(1, T0, 77.0, 3.0, has_entered=True, gallery=gallery)
        assert (recognized(leaver, [], scene, T0, PRIOR_NATS).certainty == 1.0) == is_sure


def test_an_exit_finds_its_stay_by_the_plate_among_lookalikes(lot):
    scene, red = Scene(lot, DEFAULTS), view(1.0)
    lost = [
        car(n, T0, 40.0, 3.0, status="hidden", has_entered=True, gallery=(plated(text, 1.0),), seen_at=T0)
        for n, text in ((1, "ABC1234"), (2, "XYZ7890"))
    ]
    anew = {"born_at": T0 + 20 * SECOND, "seen_at": T0 + 30 * SECOND, "has_entered": False}
    at = T0 + 30 * SECOND
    unread = car(9, at, 77.0, 3.0, gallery=(red,), **anew)
    plate = car(9, at, 77.0, 3.0, gallery=(plated("XYZ7B90", 1.0),), **anew)
    assert recognized(unread, lost, scene, at, PRIOR_NATS).lost is None
    assert recognized(plate, lost, scene, at, PRIOR_NATS).lost is lost[1]


@pytest.mark.parametrize("embedding", [b"", b"\x01\x02"])
def test_a_plate_is_taken_into_its_tick_with_or_without_a_look(embedding):
    payload = TrackletEmbedded(
        camera="a", tracklet="t", kind="car", embedder="e@1", box_px=(0, 0, 9, 9), quality=0.5, personal=Personal()
    )
    event = ObservationEvent(site="s", key=DeviceKey(device="a", boot_epoch=1, sequence=1), occurred_at=T0, payload=payload)
    personal = Personal(embedding=embedding, plate=PlateRead(text="abc-1234", score=0.8))
    _, look, _ = ordering.accept_look(OrderingState(), event, payload, personal, DEFAULTS)
    assert (look.plate, look.embedding, look.quality) == (Read("ABC1234", 0.8), embedding, 0.5)
    short = Personal(embedding=embedding, plate=PlateRead(text="A", score=0.8))
    _, look, _ = ordering.accept_look(OrderingState(), event, payload, short, DEFAULTS)
    assert (None if look is None else look.plate) is None
    assert (look is None) == (not embedding)
