"""The chain on its own: what it covers, and its heads as they are kept elsewhere."""

from __future__ import annotations

import msgspec
import pytest

from twin.errors import BadInput
from twin.log.chain import ChainHeads, chained, exported, following, imported, origin
from twin.log.columns import fact_row, observation_row
from twin.log.content import content_of, content_of_fact, observation_hash


def rows(make, n=3):
    events = make.observations(n)
    return [observation_row(event, content_of(event), position, 10 * position) for position, event in enumerate(events, 1)]


def fact(make):
    event = make.fact(1)
    return fact_row(event, content_of_fact(event), 1, 10)


def test_every_site_and_log_has_an_origin_of_its_own():
    origins = {origin(site, log) for site in ("a", "b") for log in ("observations", "facts")}
    assert len(origins) == 4


def test_the_order_of_events_is_covered(make):
    first, second, _ = rows(make)
    there, back = ([first, second], [second, first])
    assert chained("lot", "observations", there).link != chained("lot", "observations", back).link


@pytest.mark.parametrize("log", ["observations", "facts"])
def test_every_column_is_covered_itself_or_by_its_hash(make, log):
    row = rows(make)[0] if log == "observations" else fact(make)
    before = origin("lot", log)
    link = following(before, log, row, 0)
    changed = {int: lambda v: v + 1, str: lambda v: v + "x", bytes: lambda v: v + b"x", type(None): lambda v: "x"}
    for name, value in row.items():
        other = row | {name: changed[type(value)](value)}
        if log == "observations":
            is_hashed = observation_hash(other) != row["content_hash"]
            assert is_hashed or following(before, log, other, 0) != link, name
        elif name != "site":  # the origin's
            assert following(before, log, other, 0) != link, name


def test_when_events_were_recorded_moves_the_second_link_only(make):
    row = rows(make)[0]
    before = origin("lot", "observations")
    link, later = (following(before, "observations", row | {"recorded_at": at}, 0) for at in (10, 11))
    assert link.content == later.content
    assert link.times != later.times
    assert following(before, "observations", row, row["recorded_at"]).times == before.times  # committed with the one before


def test_links_do_not_change_from_release_to_release(make):
    # Logs are verified by newer releases than wrote them: a change here makes every stored chain worthless.
    link = chained("lot", "observations", rows(make)).link
    assert (link.content.hex()[:16], link.times.hex()[:16]) == ("a8381d0a59f3e003", "3dbf1e696cf1be59")
    link = chained("lot", "facts", [fact(make)]).link
    assert (link.content.hex()[:16], link.times.hex()[:16]) == ("05b226a7e4a1a0b2", "49e915ebccd1bbcc")


def test_heads_survive_being_exported(make):
    head = chained("lot", "observations", rows(make))
    heads = ChainHeads(observations=head, facts=chained("lot", "facts", ()))
    assert imported(msgspec.json.encode(exported({"lot": heads}))) == {"lot": heads}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"schema":"twin.chain/2","sites":{}}',
        b'{"schema":"twin.chain/1","sites":{"a":{"observations":{"position":1,"content":"xy","times":""},"facts":{"position":0,"content":"","times":""}}}}',
    ],
)
def test_what_is_no_exported_head_is_refused(text):
    with pytest.raises(BadInput, match="no chain heads"):
        imported(text)
