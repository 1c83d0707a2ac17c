from __future__ import annotations

import numpy as np
import pytest

from retrieval.embedder import Embedders
from twin.errors import Conflict, ImageRejected


class Fixed:
    """Sees the same in every picture."""

    def __init__(self, name: str, embedding: bytes = bytes([3, 4])) -> None:
        self.id = name
        self._embedding = embedding

    def embed(self, view: np.ndarray) -> bytes:
        return self._embedding


def test_the_embedder_with_most_points_is_used():
    embedders = Embedders([Fixed("a"), Fixed("b")])
    assert embedders.fitting({"a": 3, "b": 5, "c": 100}).id == "b"


def test_an_empty_index_needs_no_embedder():
    assert Embedders().fitting({}) is None


def test_an_index_of_others_is_refused_with_both_names():
    with pytest.raises(Conflict, match="embedder 'a' here, but the index holds views by 'b' and 'c'"):
        Embedders([Fixed("a")]).fitting({"c": 1, "b": 2})
    with pytest.raises(Conflict, match="embedder none here"):
        Embedders().fitting({"b": 2})


async def test_a_probe_is_a_unit_vector():
    np.testing.assert_allclose(await Embedders().probe(Fixed("a"), np.zeros((2, 2, 3), np.uint8)), [0.6, 0.8], atol=1e-6)


async def test_a_picture_in_which_nothing_is_seen_is_refused():
    with pytest.raises(ImageRejected, match="embedder 'a' finds nothing"):
        await Embedders().probe(Fixed("a", bytes(2)), np.zeros((2, 2, 3), np.uint8))
