"""Libraries for the same: each is left out where it is not installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from .workload import N_COMPONENTS, Probe, Views


class FaissFlat:
    """FAISS, exact; cameras and times in arrays beside it, a filter is a selection of ids."""

    def __init__(self, folder: Path, n: int) -> None:
        self._faiss: Any = importlib.import_module("faiss")
        self._faiss.omp_set_num_threads(1)
        self._index = self._made()
        self._cameras, self._at = list[Any](), list[Any]()

    def _made(self) -> Any:
        return self._faiss.IndexFlatIP(N_COMPONENTS)

    def add(self, views: Views) -> None:
        """See ``Side``."""
        self._index.add(views.vectors)
        self._cameras.append(views.cameras)
        self._at.append(views.at)

    def ready(self) -> None:
        """See ``Side``."""
        self._cameras, self._at = [np.concatenate(self._cameras)], [np.concatenate(self._at)]

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """See ``Side``."""
        selected = None
        if is_filtered:
            cameras, at = self._cameras[0], self._at[0]
            passing = (cameras == probe.camera) & (at >= probe.from_at) & (at <= probe.until_at)
            selected = self._faiss.IDSelectorBitmap(np.packbits(passing, bitorder="little"))
        return self._index.search(probe.vector[None], limit, params=self._parameters(selected))[1][0]

    def _parameters(self, selected: Any) -> Any:
        return None if selected is None else self._faiss.SearchParameters(sel=selected)

    def numbers(self, answer: Any) -> list[int]:
        """See ``Side``."""
        return [int(one) for one in answer if one >= 0]


class FaissHnsw(FaissFlat):
    """FAISS's graph: 32 links, 256 looked at."""

    def _made(self) -> Any:
        return self._faiss.IndexHNSWFlat(N_COMPONENTS, 32, self._faiss.METRIC_INNER_PRODUCT)

    def _parameters(self, selected: Any) -> Any:
        return self._faiss.SearchParametersHNSW(efSearch=256, sel=selected)


class Milvus:
    """milvus-lite, by pymilvus's client; its own choice of index."""

    def __init__(self, folder: Path, n: int) -> None:
        pymilvus: Any = importlib.import_module("pymilvus")
        kind = pymilvus.DataType
        self._client = pymilvus.MilvusClient(str(folder / "milvus.db"))
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", kind.INT64, is_primary=True)
        schema.add_field("vector", kind.FLOAT_VECTOR, dim=N_COMPONENTS)
        schema.add_field("camera", kind.INT64)
        schema.add_field("at", kind.INT64)
        parameters = self._client.prepare_index_params()
        parameters.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        self._client.create_collection("views", schema=schema, index_params=parameters)

    def add(self, views: Views) -> None:
        """See ``Side``."""
        rows = [
            {"id": views.first + i, "vector": vector.tolist(), "camera": int(views.cameras[i]), "at": int(views.at[i])}
            for i, vector in enumerate(views.vectors)
        ]
        self._client.insert("views", rows)

    def ready(self) -> None:
        """See ``Side``."""
        self._client.flush("views")
        self._client.load_collection("views")

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """See ``Side``."""
        where = f"camera == {probe.camera} and at >= {probe.from_at} and at <= {probe.until_at}" if is_filtered else ""
        return self._client.search("views", [probe.vector.tolist()], filter=where, limit=limit)[0]

    def numbers(self, answer: Any) -> list[int]:
        """See ``Side``."""
        return [int(one["id"]) for one in answer]
