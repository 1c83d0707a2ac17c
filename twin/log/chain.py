"""The hash chain over each of a site's logs: every link covers its event and the link before it.

Whoever edits, removes, adds or reorders an event changes every link after it, and the head. A link covers what is
deterministic of an event, personal fields as ciphertext; when it was recorded is covered by a second link, so that two logs
of the same events have the same first one. The format is version 1 for ever; another one gets another name.

Source: Haber & Stornetta, "How to time-stamp a digital document" (1991), on linking.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from twin.errors import BadInput
from twin.events.ids import Micros, SiteId

LogName = Literal["observations", "facts"]
ChainName = Literal["observations", "facts", "kept"]
"""``kept`` is over the facts that retention never takes; see ``twin.log.cuts``."""

LINK_BYTES = 32

_FACT_COLUMNS = (
    "position", "occurred_at", "type", "subject", "id", "fold_version", "cause", "ordinal", "supersedes", "payload",
)  # fmt: skip
_packed = msgspec.msgpack.Encoder(order="deterministic").encode
_number = struct.Struct(">q").pack
_blake2b = hashlib.blake2b
_link = _blake2b(digest_size=LINK_BYTES).copy  # making one anew takes half of an observation's link


class Link(NamedTuple):
    """The chain up to an event.

    Attributes:
        content: 32 bytes over the events.
        times: 32 bytes over when they were recorded.
    """

    content: bytes
    times: bytes


class ChainHead(Struct, frozen=True, kw_only=True):
    """A log's chain up to a position; at 0 it is the origin's."""

    position: int
    link: Link


class CutsHead(Struct, frozen=True, kw_only=True):
    """How many times retention cut a site's logs, and the chain of those cuts."""

    number: int
    digest: bytes


class ChainHeads(Struct, frozen=True, kw_only=True):
    """Of both logs of a site.

    Attributes:
        kept: over those facts that retention never takes; None in heads that were exported before there was one.
        cuts: None where nothing was ever cut.
    """

    observations: ChainHead
    facts: ChainHead
    kept: ChainHead | None = None
    cuts: CutsHead | None = None


def origin(site: SiteId, log: ChainName) -> Link:
    """The link before the first event; another one for every site and chain."""
    content, times = (
        _blake2b(_packed(("twin.chain/1", log, site, part)), digest_size=LINK_BYTES).digest() for part in ("content", "times")
    )
    return Link(content, times)


def following(before: Link, log: LogName, row: Mapping[str, Any], recorded_before: Micros) -> Link:
    """The link of the event in these columns (see ``columns``).

    Args:
        recorded_before: when the event before was recorded, 0 for the first: the second link changes with the time only, as
            what is committed together has one.
    """
    content = content_after(before.content, log, (row,))
    recorded_at = row["recorded_at"]
    if recorded_at == recorded_before:
        return Link(content, before.times)
    return Link(content, times_after(before.times, row["position"], recorded_at))


def times_after(times: bytes, position: int, recorded_at: Micros) -> bytes:
    """The second part of the link of the first event that was recorded at a time."""
    return _blake2b(times + _number(position) + _number(recorded_at), digest_size=LINK_BYTES).digest()


def observation_content(content: bytes, position: int, content_hash: bytes, subject: str | None) -> bytes:
    """The first part of an observation's link: its hash stands for the columns that it is made of."""
    link = _link()
    link.update(content + _number(position) + content_hash + (subject or "").encode())
    return link.digest()


def content_after(content: bytes, log: LogName, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The first part of the link after these rows, which need only the columns that it covers."""
    for row in rows:
        if log == "observations":
            content = observation_content(content, row["position"], row["content_hash"], row["subject"])
        else:
            content = _blake2b(content + _packed([row[name] for name in _FACT_COLUMNS]), digest_size=LINK_BYTES).digest()
    return content


def chained(site: SiteId, log: ChainName, rows: Iterable[Mapping[str, Any]]) -> ChainHead:
    """The chain over a log's rows from its first on."""
    return chained_on(ChainHead(position=0, link=origin(site, log)), log, rows, 0)


def chained_on(start: ChainHead, log: ChainName, rows: Iterable[Mapping[str, Any]], recorded_at: Micros) -> ChainHead:
    """The chain over the rows after ``start``, whose event was recorded at ``recorded_at``."""
    position, link = start.position, start.link
    columns: LogName = "observations" if log == "observations" else "facts"
    for row in rows:
        link = following(link, columns, row, recorded_at)
        position, recorded_at = row["position"], row["recorded_at"]
    return ChainHead(position=position, link=link)


class _ExportedChain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    position: int
    content: str
    times: str


class _ExportedCuts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: int
    digest: str


class _ExportedSite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    observations: _ExportedChain
    facts: _ExportedChain
    kept: _ExportedChain | None = None
    cuts: _ExportedCuts | None = None


class Exported(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Chain heads as JSON, digests in hexadecimal; worth something where whoever may write the log cannot."""

    schema: Literal["twin.chain/1"] = "twin.chain/1"
    sites: dict[str, _ExportedSite]


def exported(heads: Mapping[SiteId, ChainHeads]) -> Exported:
    """Heads to be kept elsewhere."""

    def chain(head: ChainHead) -> _ExportedChain:
        return _ExportedChain(position=head.position, content=head.link.content.hex(), times=head.link.times.hex())

    def told(both: ChainHeads) -> _ExportedSite:
        return _ExportedSite(
            observations=chain(both.observations),
            facts=chain(both.facts),
            kept=both.kept and chain(both.kept),
            cuts=both.cuts and _ExportedCuts(number=both.cuts.number, digest=both.cuts.digest.hex()),
        )

    return Exported(sites={site: told(both) for site, both in heads.items()})


def imported(text: bytes) -> dict[SiteId, ChainHeads]:
    """Heads that were exported; raises BadInput."""
    try:
        return heads_in(msgspec.json.decode(text, type=Exported))
    except (msgspec.DecodeError, ValueError) as wrong:
        raise BadInput(f"these are no chain heads: {wrong}; give what `twin log head` printed") from None


def heads_in(kept: Exported) -> dict[SiteId, ChainHeads]:
    """The heads in what was exported; raises ValueError where a digest is not hexadecimal."""

    def head(chain: _ExportedChain) -> ChainHead:
        return ChainHead(position=chain.position, link=Link(bytes.fromhex(chain.content), bytes.fromhex(chain.times)))

    return {
        SiteId(site): ChainHeads(
            observations=head(both.observations),
            facts=head(both.facts),
            kept=both.kept and head(both.kept),
            cuts=both.cuts and CutsHead(number=both.cuts.number, digest=bytes.fromhex(both.cuts.digest)),
        )
        for site, both in kept.sites.items()
    }
