"""Corrections by pages equal a look at every fact, whatever was corrected, how late, and wherever pages end."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import IdentitiesMerged, IdentitiesSplit, SessionAmended
from twin.events.observations import OperatorDecided, RefuseRequested
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.projections import corrections as module
from twin.projections.corrections import corrections, is_later
from twin.projections.moment import BEFORE_ALL, FOREVER

ROW = st.tuples(st.integers(1, 5), st.integers(0, 8), st.integers(0, 400), st.sets(st.integers(1, 30), max_size=3))
"""How many facts this one's cause has, what it says, when, and how far back what it supersedes is."""


def amended(reason):
    return SessionAmended(session="p1", vehicle="v1", version=2, status="open", was="open", reason=reason, entry_at=1)


def written(story, rows):
    """Facts of causes that have one or several of them, superseding any before."""
    events, cause, left, ordinal = [], 0, 0, 0
    for n_facts, what, at, back in rows:
        if left == 0:
            cause, left, ordinal = cause + 1, n_facts, 0
        left, ordinal = left - 1, ordinal + 1
        payload = (
            (
                IdentitiesMerged(vehicle="v1", merged="v2"),
                IdentitiesSplit(vehicle="v1", split="v2", decision="d"),
                amended("payment"),
                amended("operator"),
            )[what]
            if what < 4
            else story.moved(f"v{what}")
        )
        supersedes = tuple(events[-one].id for one in sorted(back) if one <= len(events) and what % 4 == 0)
        fact = FactEvent(
            site="lot", fold_version="1", cause=cause, ordinal=ordinal, occurred_at=at, payload=payload, supersedes=supersedes
        )  # fmt: skip
        events.append(fact)
    return events


def naive(facts, *, from_at, until_at):
    """Before, after, first and last valid time, and how many were superseded: by looking at every fact."""
    net, by_cause = {}, {}
    for fact in facts:
        gone = [net.pop(one) for one in dict.fromkeys(fact.event.supersedes) if one in net]
        net[fact.event.id] = fact
        by_cause.setdefault(fact.event.cause, []).append((fact, gone))
    found = []
    for group in by_cause.values():
        changing = [(fact, gone) for fact, gone in group if gone or is_later(fact)]
        times = [one.event.occurred_at for fact, gone in changing for one in (fact, *gone)]
        if times and min(times) <= until_at and max(times) >= from_at:
            n_gone, told = sum(len(gone) for _, gone in changing), [fact.event.payload for fact, _ in changing]
            names = {getattr(one, name, None) for one in told for name in ("vehicle", "merged", "split")} - {None}
            numbers = (n_gone, len(changing), len(names))
            found.append((group[0][0].position - 1, group[-1][0].position, min(times), max(times), numbers))
    return found


async def paged(log, *, from_at, until_at, until, limit):
    found, after = [], 0
    while after is not None:
        page, after = await corrections(log, "lot", from_at=from_at, until_at=until_at, after=after, until=until, limit=limit)
        assert len(page) <= limit
        found += page
    return found


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(ROW, max_size=60),
    stretch=st.tuples(st.integers(-5, 400), st.integers(-5, 400)).map(sorted),
    known=st.integers(0, 60),
    limit=st.integers(1, 5),
    read=st.tuples(st.integers(1, 7), st.integers(1, 20), st.integers(2, 6)),
)
def test_pages_of_corrections_equal_a_look_at_every_fact(story, rows, stretch, known, limit, read):
    async def compare():
        log = await story.log(written(story, rows))
        facts = await log.facts("lot", limit=100)
        until, (from_at, until_at) = min(known, len(facts)), stretch
        for ends in ((from_at, until_at), (BEFORE_ALL, FOREVER)):
            told = await paged(log, from_at=ends[0], until_at=ends[1], until=until, limit=limit)
            expected = naive(facts[:until], from_at=ends[0], until_at=ends[1])
            assert [(int(one.before), int(one.after), (one.n_superseded, one.n_facts, one.n_vehicles)) for one in told] == [
                (before, after, numbers) for before, after, _, _, numbers in expected
            ]
            assert [(one.at, one.until_at) for one in told] == [
                (module.rfc3339(at), module.rfc3339(last)) for _, _, at, last, _ in expected
            ]

    before = module.MOST_READ, module._PAGE, module._CHUNK
    module._PAGE, module.MOST_READ, module._CHUNK = read
    try:
        asyncio.run(compare())
    finally:
        module.MOST_READ, module._PAGE, module._CHUNK = before


async def test_who_corrected_is_told_with_the_reason(story):
    log = MemoryLog()
    causes = [
        OperatorDecided(decision="split", author="amira", reason="two cars", vehicle="v1", other="v2"),
        RefuseRequested(from_at=0, author="ben", reason="a box came late"),
        story.observation(3).payload,
    ]
    keys = [DeviceKey(device="desk", boot_epoch=1, sequence=number) for number in (1, 2, 3)]
    await log.append(
        [ObservationEvent(site="lot", key=key, occurred_at=1, payload=one) for key, one in zip(keys, causes, strict=True)]
    )
    facts = (
        story.event(1, IdentitiesSplit(vehicle="v1", split="v2", decision="d"), at=1),
        story.event(2, amended("late_data"), at=2),
        story.event(3, IdentitiesMerged(vehicle="v1", merged="v2"), at=3),
    )
    await log.commit(FoldCommit(token=await log.acquire("lot", "w"), after=0, cursor=3, facts=facts))
    told = await paged(log, from_at=BEFORE_ALL, until_at=FOREVER, until=3, limit=10)
    assert [(one.by, one.author, one.reason, one.decision) for one in told] == [
        ("operator", "amira", "two cars", "split"),
        ("refusion", "ben", "a box came late", None),
        ("twin", None, None, None),
    ]
    assert [[(one.vehicle, one.other, one.is_split) for one in each.names] for each in told] == [
        [("v1", "v2", True)],
        [],
        [("v1", "v2", False)],
    ]
    assert told[0].vehicles == ["v1", "v2"]
    assert told[1].sessions == ["p1"]


async def test_money_received_is_no_correction_of_the_past(story):
    log = await story.log([story.event(1, amended("payment"), at=1)])
    assert await paged(log, from_at=BEFORE_ALL, until_at=FOREVER, until=1, limit=5) == []


async def test_a_correction_of_many_pages_tells_the_first_names_and_how_many_there_are(story, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 10)
    facts = [
        FactEvent(
            site="lot",
            fold_version="1",
            cause=1,
            ordinal=n,
            occurred_at=n,
            payload=IdentitiesMerged(vehicle="v", merged=f"m{n}"),
        )
        for n in range(95)
    ]
    (told,) = await paged(await story.log(facts), from_at=BEFORE_ALL, until_at=FOREVER, until=95, limit=5)
    assert (told.n_facts, told.n_vehicles, len(told.names), told.before, told.after) == (95, 96, module.MOST_NAMES, "0", "95")
    assert told.vehicles == sorted(["v", *(f"m{n}" for n in range(95))])[: module.MOST_NAMES]
