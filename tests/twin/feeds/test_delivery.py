"""What a subscription delivers: rules by example, then any history of consumers that come, fail and vanish."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import Conflict, NotFound
from twin.feeds import delivery
from twin.log.subscriptions import Filter, Subscription

S = 1_000_000
LEASE = 30 * S


def subscription(*orders, most_attempts=5):
    """Facts 1, 2, … of these orders, all waiting."""
    fresh = Subscription(site="lot", name="billing", filter=Filter(), most_attempts=most_attempts, created_at=0, read_to=0)
    return delivery.queued(fresh, list(enumerate(orders, 1)), len(orders))


def lease(one, now=0, limit=100):
    one, leased = delivery.lease(one, now, limit=limit, lease_us=LEASE)
    return one, leased.number, [each.position for each in leased.deliveries]


def test_a_lease_holds_its_facts_until_it_ends():
    one, number, positions = lease(subscription("a", "b"))
    assert (number, positions) == (1, [1, 2])
    assert lease(one, now=LEASE - 1)[1:] == (0, [])
    assert lease(one, now=LEASE)[1:] == (2, [1, 2])


def test_a_paused_subscription_hands_nothing_out_and_what_is_leased_is_still_acknowledged():
    one, first, _ = lease(subscription("a", "b", "c"), limit=1)
    paused = replace(one, paused_at=5)
    assert lease(paused, now=6)[1:] == (0, [])
    done, lost = delivery.acknowledge(paused, first, [1])
    assert (lost, list(done.queue)) == ([], [2, 3])
    assert lease(paused, now=LEASE)[1:] == (0, [])  # its lease has ended
    assert lease(replace(paused, paused_at=None), now=LEASE)[2] == [1, 2, 3]


def test_a_late_acknowledgement_counts_until_somebody_else_has_the_fact():
    one, first, _ = lease(subscription("a"))
    late, lost = delivery.acknowledge(one, first, [1])
    assert (lost, dict(late.queue), delivery.acknowledged_to(late)) == ([], {}, 1)
    taken_over, _, _ = lease(one, now=LEASE)
    assert delivery.acknowledge(taken_over, first, [1])[1] == [1]


def test_what_stands_behind_a_leased_fact_of_its_session_waits_and_nothing_else_does():
    one, _, positions = lease(subscription("a", "b", "a", "c"), limit=1)
    assert positions == [1]
    assert lease(one)[2] == [2, 4]


def test_a_session_is_acknowledged_in_order():
    one, number, _ = lease(subscription("a", "a", "b"))
    one, lost = delivery.acknowledge(one, number, [2, 3])
    assert lost == [2]
    assert delivery.acknowledge(one, number, [1, 2])[1] == []


def test_a_refused_fact_comes_again_after_a_pause_that_doubles_and_is_parked_at_last():
    one, now = subscription("a", "a", "b", most_attempts=3), 0
    for wait in (1 * S, 2 * S):
        one, number, positions = lease(one, now)
        assert positions[0] == 1
        one, held = delivery.refuse(one, number, 1, "no such tariff", now)
        assert held
        one = delivery.release(one, number)
        assert 1 not in lease(one, now + wait - 1)[2]
        now += wait
    one, number, positions = lease(one, now)
    assert positions == [1]
    one, _ = delivery.refuse(one, number, 1, "no such tariff", now)
    parked = one.queue[1]
    assert (parked.state, parked.n_attempts, parked.reason) == ("parked", 3, "no such tariff")
    assert lease(one, now + 10**12)[2] == [3]
    assert lease(delivery.retry(one, 1), now)[2] == [1, 2, 3]
    assert lease(delivery.discard(one, 1), now)[2] == [2, 3]


def test_only_the_fact_that_was_refused_counts_an_attempt():
    one, number, _ = lease(subscription("a", "a"))
    one, _ = delivery.refuse(one, number, 1, "", 0)
    assert [each.n_attempts for each in one.queue.values()] == [1, 0]


def test_a_fact_that_kills_its_consumer_is_alone_before_it_is_parked():
    # Consumers die at fact 40 of 100 sessions: the others must all get through, and only 40 may be parked.
    one, now, done = subscription(*(f"s{n}" for n in range(100))), 0, set()
    while any(each.state != "parked" for each in one.queue.values()):
        one, number, positions = lease(one, now)
        good = positions[: positions.index(40)] if 40 in positions else positions
        one, lost = delivery.acknowledge(one, number, good)
        assert not lost
        done |= set(good)
        now += LEASE
        one = delivery.settled(one, now)
    assert done == set(range(1, 101)) - {40}
    assert one.queue[40].reason == "its lease ended without an answer"


def test_a_consumer_that_asks_again_gets_what_it_still_held():
    one, _ = delivery.lease(subscription("a", "b"), 0, limit=1, lease_us=LEASE, holder="c1")
    _, other = delivery.lease(one, 0, limit=9, lease_us=LEASE, holder="c2")
    _, same = delivery.lease(one, 0, limit=9, lease_us=LEASE, holder="c1")
    assert [each.position for each in other.deliveries] == [2]
    assert [(each.position, each.n_attempts) for each in same.deliveries] == [(1, 2), (2, 1)]


def test_a_lost_lease_is_paused_for_longer_each_time_and_parked_after_twice_as_many():
    one, now, pauses = subscription("a", most_attempts=3), 0, []
    while one.queue[1].state != "parked":
        one, _, positions = lease(one, now)
        assert positions == [1]
        now += LEASE
        one = delivery.settled(one, now)
        pauses.append((one.queue[1].until - now) // S)
        now = max(now, one.queue[1].until)
    assert pauses[:-1] == [0, 1, 2, 4, 8]
    assert one.queue[1].n_attempts == 6


def test_a_released_lease_counts_no_attempt():
    one, number, _ = lease(subscription("a"))
    assert delivery.release(one, number).queue[1].n_attempts == 0


def test_an_extended_lease_lasts_longer():
    one, number, _ = lease(subscription("a"))
    one, held = delivery.extend(one, number, 2 * LEASE)
    assert held
    assert lease(one, now=LEASE)[2] == []
    assert lease(one, now=2 * LEASE)[2] == [1]
    assert not delivery.extend(delivery.release(one, number), number, LEASE)[1]


def test_a_replay_delivers_a_range_again_and_then_goes_on():
    one, number, _ = lease(subscription("a", "b", "c"))
    one, _ = delivery.acknowledge(one, number, [1, 2, 3])
    one = delivery.replay(one, after=0, until=2)
    assert (one.read_to, delivery.acknowledged_to(one)) == (0, 0)
    with pytest.raises(Conflict, match="still reads again up to position 2"):
        delivery.replay(one, after=0, until=1)
    one = delivery.queued(one, [(1, "a"), (2, "b")], 2)
    assert one.read_to == 3
    assert lease(one)[2] == [1, 2]
    with pytest.raises(Conflict, match="has read up to 3"):
        delivery.replay(one, after=2, until=9)


def test_what_is_not_parked_cannot_be_retried():
    with pytest.raises(NotFound, match="has not parked position 1; parked: none"):
        delivery.retry(subscription("a"), 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lease", "acknowledge", "refuse", "release", "extend", "wait", "retry", "more"]), st.integers(0, 99)
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS, st.integers(1, 4), st.integers(1, 12))
def test_whatever_consumers_do_each_fact_stays_until_it_is_acknowledged_in_order(steps, n_orders, limit):
    one = Subscription(site="lot", name="x", filter=Filter(), most_attempts=3, created_at=0, read_to=0)
    now, leases, acknowledged = 0, {}, []
    for what, number in steps:
        if what == "more":
            positions = range(one.read_to + 1, one.read_to + 2 + number % 7)
            one = delivery.queued(one, [(position, str(position % n_orders)) for position in positions], positions[-1])
        elif what == "lease":
            before = delivery.settled(one, now)
            one, leased = delivery.lease(one, now, limit=limit, lease_us=LEASE)
            assert len(leased.deliveries) <= limit
            for each in leased.deliveries:
                assert before.queue[each.position].state == "waiting"
                behind = [p for p, other in before.queue.items() if other.order == each.order and p < each.position]
                assert {*behind} <= {other.position for other in leased.deliveries}
            if leased.number:
                leases[leased.number] = [each.position for each in leased.deliveries]
        elif what == "acknowledge" and leases:
            chosen = list(leases)[number % len(leases)]
            given_up = leases[chosen][: 1 + number % 5]
            waiting = {*given_up} & {*one.queue}
            one, lost = delivery.acknowledge(one, chosen, given_up)
            acknowledged += sorted(waiting - {*lost})
        elif what == "refuse" and leases:
            chosen = list(leases)[number % len(leases)]
            one, _ = delivery.refuse(one, chosen, leases[chosen][number % len(leases[chosen])], "failed", now)
        elif what in ("release", "extend") and leases:
            chosen = list(leases)[number % len(leases)]
            one = delivery.release(one, chosen) if what == "release" else delivery.extend(one, chosen, now + LEASE)[0]
        elif what == "wait":
            now += number * S
        elif what == "retry":
            parked = [position for position, each in one.queue.items() if each.state == "parked"]
            one = delivery.retry(one, parked[0]) if parked else one
        assert {*acknowledged} | {*one.queue} == set(range(1, one.read_to + 1))
        assert not {*acknowledged} & {*one.queue}
    assert len(acknowledged) == len({*acknowledged})
    for order in range(n_orders):
        mine = [position for position in acknowledged if position % n_orders == order]
        assert mine == sorted(mine)


SCHEDULE = (5.0, 300.0, 7200.0)


def scheduled(*orders, most_attempts=4):
    return replace(subscription(*orders, most_attempts=most_attempts), pauses_s=SCHEDULE)


def test_a_subscription_with_pauses_of_its_own_waits_for_so_long_and_up_to_a_tenth_longer():
    one, now = scheduled("a"), 0
    for pause_s in SCHEDULE:
        one, number, positions = lease(one, now)
        assert positions == [1]
        one, _ = delivery.refuse(one, number, 1, "503", now)
        until = one.queue[1].until
        assert pause_s * S <= until - now <= pause_s * S * (1 + delivery.JITTER)
        assert lease(one, until - 1)[2] == []
        now = until
    one, number, _ = lease(one, now)
    one, _ = delivery.refuse(one, number, 1, "503", now)
    assert one.queue[1].state == "parked"


def test_the_last_pause_holds_for_all_failures_that_follow():
    one = scheduled("a", most_attempts=9)
    assert delivery.pause_us(one, 1, 8) >= 7200 * S
    assert delivery.pause_us(one, 1, 0) == 0


def test_facts_that_failed_together_do_not_come_back_together():
    pauses = {delivery.pause_us(scheduled("a"), position, 2) for position in range(100)}
    assert len(pauses) == 100
    assert max(pauses) - min(pauses) > 0.08 * 300 * S


def test_a_consumer_may_ask_for_a_longer_pause_but_not_for_a_shorter_one():
    one, number, _ = lease(scheduled("a", "b"))
    one, _ = delivery.refuse(one, number, 1, "429", 0, least_pause_us=60 * S)
    one, _ = delivery.refuse(one, number, 2, "429", 0, least_pause_us=1)
    assert one.queue[1].until == 60 * S
    assert one.queue[2].until >= 5 * S


def test_what_waits_after_a_failure_can_be_hastened_and_what_is_parked_stays():
    one, number, _ = lease(scheduled("a", "b", most_attempts=2))
    one, _ = delivery.refuse(one, number, 1, "503", 0)
    assert lease(one, 1)[2] == []
    assert lease(delivery.hastened(one), 1)[2] == [1]
    one, _ = delivery.refuse(replace(one, most_attempts=1), number, 2, "503", 0)
    assert delivery.hastened(one).queue[2].state == "parked"
