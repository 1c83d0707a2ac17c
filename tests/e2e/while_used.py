"""Services of the pages' tests: each is started once, and ends with the last test that uses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

T = TypeVar("T")


class WhileUsed:
    """What session fixtures opened, each until the last test that uses it is over: traffic alone takes a quarter of a core."""

    def __init__(self) -> None:
        self._n_left: Counter[str] = Counter()
        self._close: dict[str, Callable[[], None]] = {}

    def count(self, items: Iterable[pytest.Item]) -> None:
        """Note who will use what; the tests of other processes are among them."""
        self._n_left = Counter(name for item in items for name in _fixtures(item))

    @contextmanager
    def kept(self, name: str, opened: AbstractContextManager[T]) -> Iterator[T]:
        """Open what the session fixture of this name gives."""
        with ExitStack() as stack:
            given = stack.enter_context(opened)
            self._close[name] = stack.close
            yield given

    def ended(self, item: pytest.Item) -> None:
        """Close what no test uses any more."""
        for name in _fixtures(item):
            self._n_left[name] -= 1
            if self._n_left[name] == 0 and name in self._close:
                self._close.pop(name)()


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
