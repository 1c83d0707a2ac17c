from itertools import pairwise

import pytest

from perception.synthetic.arrivals import Arrivals
from perception.synthetic.demand import Demand
from perception.synthetic.seeds import generator
from twin.events.ids import SECOND

DAY = 24 * 3600 * SECOND


def _days(demand, n_days, per_s=0.02):
    arrivals, at, groups = Arrivals(demand, per_s, generator(5, "arrivals")), 0, []
    while (at := arrivals.next_at(at)) < n_days * DAY:
        groups.append(arrivals.group(at))
    return groups


@pytest.mark.parametrize("platoon_share", [0.0, 0.3, 1.0])
def test_groups_do_not_change_how_many_come_in_all(platoon_share):
    groups = _days(Demand(platoon_share=platoon_share), 10)
    assert sum(len(group) for group in groups) == pytest.approx(0.02 * 10 * 86_400, rel=0.04)


def test_as_many_arrivals_are_groups_as_are_asked_for_of_two_to_four():
    groups = _days(Demand(platoon_share=0.3), 5)
    together = [group for group in groups if len(group) > 1]
    assert len(together) / len(groups) == pytest.approx(0.3, abs=0.03)
    assert {len(group) for group in together} == {2, 3, 4}


def test_a_group_comes_one_close_behind_another():
    groups = _days(Demand(platoon_share=1.0), 1)
    gaps = [after - before for group in groups for before, after in pairwise(group)]
    assert min(gaps) >= 0.5 * SECOND
    assert max(gaps) <= 2.5 * SECOND
