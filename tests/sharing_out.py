"""Which tests run in one process, and in which order these groups begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from xdist.scheduler import LoadScopeScheduling

T = TypeVar("T")

TOGETHER: Mapping[str, tuple[str, ...]] = {
    "lived in": ("system/test_contract", "system/test_docs"),
    "traffic": (
        "e2e/test_cameras_page",
        "e2e/test_docs_page",
        "e2e/test_explore_page::test_sightings_without_pictures_have_placeholders",
        "e2e/test_inside_pages",
        "e2e/test_map_page",
    ),
    "day": (
        "e2e/test_occupancy_page",
        "e2e/test_pages_accessibility",
        "e2e/test_review_page",
        "e2e/test_sessions_page",
        "e2e/test_subscriptions_page",
        "e2e/test_time_page",
        "e2e/test_vehicle_page",
    ),
    "calm": (
        "e2e/test_calibrate_page",
        "e2e/test_camera_model",
        "e2e/test_edit_by_keys",
        "e2e/test_edit_in_picture",
        "e2e/test_edit_page",
        "e2e/test_login_page",
        "e2e/test_page_modules",
    ),
}
"""Files, or tests of one, that use one service: it is started once then, and ends with the last of them."""

SINGLY = (
    "evaluation/test_proofs",
    "system/test_consumers",
    "system/test_kill",
    "system/test_moving",
    "system/test_receiver",
    "system/test_stopping",
)
"""Files whose tests share nothing and take long: each is a group of its own. Of other files each is one."""

LONG = (
    "system/test_consumers",
    "system/test_contract",
    "system/test_first_camera",
    "system/test_kill",
    "system/test_webhook_kill",
    "system/test_moving",
    "system/test_full_disk",
    "system/test_receiver",
    "system/test_stopping",
    "evaluation/test_proofs",
    "evaluation/test_benches",
    "evaluation/test_fusion_quality",
    "evaluation/test_robustness",
    "evaluation/test_bench_fusion",
    "evaluation/test_fuse_run",
    "evaluation/test_bench_timetravel",
    "evaluation/test_bench_log",
)
"""What begins first, so that nothing long is left for one process at the end; what mostly waits before what computes."""

_GROUP_OF = {name: group for group, names in TOGETHER.items() for name in names}
_RANK = {name: rank for rank, name in enumerate(LONG)}


def group_of(nodeid: str) -> str:
    """What a test stays together with: the users of its service, its file, or itself."""
    path, _, test = nodeid.partition("::")
    file = _file_of(nodeid)
    if file in SINGLY:
        return nodeid
    return _GROUP_OF.get(f"{file}::{test.partition('[')[0]}") or _GROUP_OF.get(file) or path


def in_order(items: Sequence[T], nodeid: Callable[[T], str]) -> list[T]:
    """Groups one after the other, those of ``LONG`` first, then the larger ones; within a group as it was."""
    names = [nodeid(one) for one in items]
    groups = list(map(group_of, names))
    n_of, first_of, rank_of = Counter(groups), dict[str, int](), dict[str, int]()
    for at, (name, group) in enumerate(zip(names, groups, strict=True)):
        first_of.setdefault(group, at)
        rank_of[group] = min(rank_of.get(group, len(LONG)), _RANK.get(_file_of(name), len(LONG)))
    order = sorted(range(len(items)), key=lambda at: (rank_of[groups[at]], -n_of[groups[at]], first_of[groups[at]]))
    return [items[at] for at in order]


def _file_of(nodeid: str) -> str:
    """A file's folder and name, as the tables above have it."""
    return "/".join(Path(nodeid.partition("::")[0]).with_suffix("").parts[-2:])


class Groups(LoadScopeScheduling):
    """Gives a process a group at a time, in the order of collection."""

    def __init__(self, config: pytest.Config, *given) -> None:
        config.option.loadscopereorder = False  # else by their numbers of tests alone
        super().__init__(config, *given)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
