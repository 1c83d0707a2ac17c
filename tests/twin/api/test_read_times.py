"""The documentation says of every read which of the two times it takes, and whether it waits."""

import re
from pathlib import Path

from retrieval.asking import PARAMETERS
from twin.api.app import ENDPOINTS

PAGE = Path(__file__).parents[3] / "ops/docs/http-api.md"
TIMES = ("at", "known_at", "wait_for", "wait_s")
SITE = "/v1/sites/{site}"


def said() -> dict[str, tuple[str, ...]]:
    """By path below the site: what the table says that it takes."""
    _, _, table = PAGE.read_text().partition("| takes | reads |")
    found: dict[str, tuple[str, ...]] = {}
    for row in table.partition("\n\n")[0].splitlines()[2:]:
        takes, paths = row.strip("| ").split(" | ")
        names = tuple(name for name in re.findall(r"`([a-z_]*)`", takes.partition(";")[0]) if name in TIMES)
        found |= {path.removeprefix(SITE): names for path in re.findall(r"`(/[^`]*)`", paths)}
    return found


def test_the_table_of_times_is_what_the_routes_take():
    true = {
        one.path.removeprefix(SITE): tuple(each.name for each in one.parameters if each.name in TIMES)
        for one in ENDPOINTS
        if one.method == "GET" and one.path.startswith(SITE)
    }
    search = tuple(name for name, _, _ in PARAMETERS if name in TIMES)
    assert said() == true | {"/search": search, "/search/views": TIMES}
    assert len(true) > 30
