from __future__ import annotations

from perception.models import packaged_if_any
from retrieval.look import BY_EMBEDDER, USUAL, look_of


def test_an_embedder_has_its_own_curve_in_every_version():
    assert look_of("colour-128@1") is look_of("colour-128@2")
    assert look_of("colour-128@1") is not USUAL
    assert look_of("osnet@1") is USUAL


def test_colours_of_strangers_are_unlikely_and_of_one_vehicle_likely():
    # Medians that were measured on video: two vehicles 0.886, one vehicle 0.964.
    assert look_of("colour-128@1").probability(0.886) < 0.1
    assert look_of("colour-128@1").probability(0.964) > 0.8


def test_the_packaged_embedder_has_a_curve_of_its_own():
    embedder = packaged_if_any("embedder")
    assert embedder is not None
    assert look_of(f"{embedder.stem}@1") is BY_EMBEDDER["embedder"]
    assert look_of("embedder@1").probability(0.59) > 0.75  # 95 % of strangers are below
    assert look_of("embedder@1").probability(0.14) < 0.05
