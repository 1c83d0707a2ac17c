"""Words as numbers, so that what has them can be counted in columns."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=str)


class Vocabulary(Generic[T]):
    """Gives each new word the next number; -1 is of no word.

    Attributes:
        words: by number; it only grows.
    """

    def __init__(self) -> None:
        self.words: list[T] = []
        self._adding = threading.Lock()  # threads that compare look words up too, and meet new ones
        self._codes: dict[T | None, int] = {None: -1}

    def codes(self, words: Iterable[T | None]) -> NDArray[np.int64]:
        """(N,) their numbers."""
        return np.array([self._code(word) for word in words], np.int64)

    def code(self, word: T) -> int | None:
        """The number of a word that there is."""
        return self._codes.get(word)

    def _code(self, word: T | None) -> int:
        if (known := self._codes.get(word)) is not None:
            return known
        with self._adding:
            if word not in self._codes:
                self.words.append(word)  # type: ignore[arg-type]  None has a number from the start
                self._codes[word] = len(self.words) - 1
            return self._codes[word]
