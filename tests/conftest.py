"""How the tests are shared out among processes: what belongs together stays together, and what takes longest begins first."""

import pytest

from tests.sharing_out import Groups, in_order


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> Groups:
    """In the place of ``--dist``."""
    return Groups(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the order in which groups are to begin, where several processes share them."""
    if hasattr(config, "workerinput"):
        items[:] = in_order(items, lambda item: item.nodeid)
