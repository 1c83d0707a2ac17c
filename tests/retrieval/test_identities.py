from __future__ import annotations

from retrieval.identities import Identities
from twin.projections.moment import Moment

NOON = 1_767_268_800_000_000


async def moment(seen, at=None):
    return Moment(at=at, known_at=(await seen.memory.heads("street")).facts)


async def test_new_assignments_are_seen_without_reading_the_old_again(seen):
    identities = Identities(seen.log, "street")
    assert (await identities.at(await moment(seen))).vehicle_of == {}
    await seen.assign("t1", "v1")
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "v1"}
    await seen.assign("t2", "v1")
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "v1", "t2": "v1"}


async def test_what_is_brought_up_to_date_is_what_is_read_anew(seen, monkeypatch):
    monkeypatch.setattr("retrieval.layered.MOST_CHANGES", 3)
    identities, before = Identities(seen.log, "street"), []
    for n in range(12):
        await seen.assign(f"t{n % 5}", f"v{n * 7 % 4}", at_s=n)
        before.append((await moment(seen), await identities.at(await moment(seen))))
        anew = await Identities(seen.log, "street").at(await moment(seen))
        known = before[-1][1]
        assert dict(known.vehicle_of) == dict(anew.vehicle_of)
        assert dict(known.tracklets_of) == dict(anew.tracklets_of)
        assert len(known.tracklets_of) == len(dict(known.tracklets_of))
    for then, known in before:  # what was given out stays as it was
        assert dict(known.vehicle_of) == dict((await Identities(seen.log, "street").at(then)).vehicle_of)


async def test_a_correction_replaces_what_it_supersedes_whatever_its_time(seen):
    identities = Identities(seen.log, "street")
    wrong = await seen.assign("t1", "wrong", at_s=50)
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "wrong"}
    await seen.assign("t1", "right", at_s=10, supersedes=[wrong])
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "right"}
    assert (await Identities(seen.log, "street").at(await moment(seen))).vehicle_of == {"t1": "right"}


async def test_what_was_known_before_can_still_be_asked_for(seen):
    identities = Identities(seen.log, "street")
    wrong = await seen.assign("t1", "wrong")
    then = await moment(seen)
    await seen.assign("t1", "right", supersedes=[wrong])
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "right"}
    assert (await identities.at(then)).vehicle_of == {"t1": "wrong"}


async def test_a_later_assignment_of_a_tracklet_holds_from_its_time_on(seen):
    identities = Identities(seen.log, "street")
    await seen.assign("t1", "second", at_s=20)
    await seen.assign("t1", "first", at_s=10)  # late: it became known after the second
    assert (await identities.at(await moment(seen))).vehicle_of == {"t1": "second"}
    assert (await identities.at(await moment(seen, at=NOON + 15_000_000))).vehicle_of == {"t1": "first"}
    assert (await identities.at(await moment(seen, at=NOON))).vehicle_of == {}


async def test_more_assignments_than_a_page_are_all_read(seen, monkeypatch):
    monkeypatch.setattr("retrieval.identities.PAGE", 3)
    for n in range(8):
        await seen.assign(f"t{n}", "v")
    assert len((await Identities(seen.log, "street").at(await moment(seen))).vehicle_of) == 8
