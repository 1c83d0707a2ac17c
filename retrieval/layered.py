"""A mapping that shares what did not change with the one that it was made from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_CHANGES = 2_000
"""Beyond that, a mapping is written out: looking things up would not cost more, but copying the changes would."""


class Layered(Mapping[K, V]):
    """Changes over a mapping that stays as it is.

    >>> before = Layered({"a": 1, "b": 2})
    >>> after = before.changed({"b": None, "c": 3})
    >>> dict(before), dict(after), len(after)
    ({'a': 1, 'b': 2}, {'a': 1, 'c': 3}, 2)
    """

    def __init__(self, lower: Mapping[K, V], upper: Mapping[K, V | None] | None = None) -> None:
        self._lower = lower
        self._upper: Mapping[K, V | None] = upper or {}
        self._n_gone = sum(value is None and key in lower for key, value in self._upper.items())
        self._n_new = sum(value is not None and key not in lower for key, value in self._upper.items())

    def changed(self, changes: Mapping[K, V | None]) -> Layered[K, V]:
        """With other values for some keys; None takes a key away."""
        upper = {**self._upper, **changes}
        if len(upper) <= MOST_CHANGES:
            return Layered(self._lower, upper)
        whole: dict[K, V] = dict(self._lower)
        for key, value in upper.items():
            if value is None:
                whole.pop(key, None)
            else:
                whole[key] = value
        return Layered(whole)

    def __getitem__(self, key: K) -> V:
        if key not in self._upper:
            return self._lower[key]
        if (value := self._upper[key]) is None:
            raise KeyError(key)
        return value

    def get(self, key: K, default: Any = None) -> Any:  # type: ignore[override]
        """The value, else the default; this is asked thousands of times a search."""
        if key in self._upper:
            value = self._upper[key]
            return default if value is None else value
        return self._lower.get(key, default)

    def __contains__(self, key: object) -> bool:
        return self._upper[key] is not None if key in self._upper else key in self._lower  # type: ignore[index]

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._lower if key not in self._upper or self._upper[key] is not None)
        yield from (key for key, value in self._upper.items() if value is not None and key not in self._lower)

    def __len__(self) -> int:
        return len(self._lower) - self._n_gone + self._n_new
