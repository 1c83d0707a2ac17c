"""What turns a picture into something that can be compared: given from outside, since models are the edge's business."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from retrieval.images import Image
from retrieval.index import Vector, unit_vector
from twin.errors import Conflict, NothingSeen


class Embedder(Protocol):
    """Turns a view of a vehicle into an embedding."""

    @property
    def id(self) -> str:
        """Model and version; embeddings of different ids cannot be compared."""
        ...

    def embed(self, view: Any) -> bytes:
        """(H, W, 3) BGR uint8 view to E signed bytes: an L2-normalized vector times 127."""
        ...


class Embedders:
    """The embedders at hand; used one picture at a time, beside the event loop."""

    def __init__(self, embedders: Sequence[Embedder] = ()) -> None:
        self._by_id = {embedder.id: embedder for embedder in embedders}
        self._lock = asyncio.Lock()

    def fitting(self, n_points_by_embedder: Mapping[str, int]) -> Embedder | None:
        """The embedder at hand that most points of an index were made with; None for an index without points.

        Raises:
            Conflict: the points were made with other embedders.
        """
        fitting = [name for name in n_points_by_embedder if name in self._by_id]
        if fitting:
            return self._by_id[max(fitting, key=lambda name: (n_points_by_embedder[name], name))]
        if not n_points_by_embedder:
            return None
        here = " and ".join(f"'{name}'" for name in sorted(self._by_id)) or "none"
        there = " and ".join(f"'{name}'" for name in sorted(n_points_by_embedder))
        raise Conflict(
            f"pictures are compared with the embedder {here} here, but the index holds views by {there};"
            " run the service with the cameras' embedder, or search by a tracklet"
        )

    async def probe(self, embedder: Embedder, image: Image) -> Vector:
        """(H, W, 3) BGR picture to an (E,) unit vector; raises NothingSeen where nothing is to be seen."""
        async with self._lock:
            embedding = await asyncio.to_thread(embedder.embed, image)
        vector = unit_vector(embedding)
        if vector is None:
            raise NothingSeen(f"embedder '{embedder.id}' finds nothing in the picture; send one that shows a vehicle")
        return vector
