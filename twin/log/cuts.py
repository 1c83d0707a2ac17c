"""What retention cut off a site's logs: what stands for it, what may still be asked for, and the chain of the cuts.

Of the observation log a beginning is cut off, at an anchor: the fold's state, the chain's link and each device's marks there.
Of the fact log only movement is taken, so every other fact stays where it is, under a chain of its own (``kept``) that no cut
interrupts. Every cut covers the one before it by a digest, so that heads that were kept elsewhere tell a cut that was made
since then, or that was altered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from twin.errors import BadInput, Cut
from twin.events.ids import Micros, SiteId
from twin.log.chain import Link, LogName, content_after

MOVEMENT = ("vehicle.moved.v1",)
"""Types of facts that are kept for weeks only; all others are kept for good."""

_packed = msgspec.msgpack.Encoder(order="deterministic").encode


class Anchor(Struct, frozen=True, kw_only=True):
    """Where a site's observation log begins.

    Attributes:
        position: the last observation that was cut; 0 is none.
        recorded_at: of that observation.
        facts: the last fact that follows from the observations up to there.
        version: fold version and configuration hash of ``state``.
        state: the fold after the observation at ``position``.
        devices: what was stored of each device up to there, as ``twin.log.devices`` packs it.
    """

    position: int
    link: Link
    recorded_at: Micros
    facts: int
    version: str
    state: bytes
    devices: bytes


class Thinning(Struct, frozen=True, kw_only=True):
    """Up to where a site's fact log has lost its movement facts.

    Attributes:
        from_at: the first valid time of which the site's state is still known.
        left: positions of movement facts that stay: those that the state at ``from_at`` and later rests on.
        left_digest: over those facts.
    """

    position: int
    link: Link
    recorded_at: Micros
    from_at: Micros
    left: tuple[int, ...]
    left_digest: bytes


class CutRecord(Struct, frozen=True, kw_only=True):
    """One cut as it is kept for good, after later ones replaced it.

    Attributes:
        at: ``from_at`` of a thinning; 0 of an anchor.
        body_hash: of what only the newest cut of a log still holds: state and marks, or what was left.
    """

    number: int
    log: LogName
    position: int
    made_at: Micros
    recorded_at: Micros
    at: Micros
    content: bytes
    times: bytes
    body_hash: bytes


class Cuts(Struct, frozen=True, kw_only=True):
    """All of a site's cuts, by the newest of each log.

    Attributes:
        number: how many cuts there were.
        digest: over all of them; empty where there was none.
    """

    anchor: Anchor | None = None
    thinning: Thinning | None = None
    number: int = 0
    digest: bytes = b""

    @property
    def observations(self) -> int:
        """The last observation that was cut."""
        return self.anchor.position if self.anchor else 0

    @property
    def movement(self) -> int:
        """The fact position up to which movement is cut."""
        return self.thinning.position if self.thinning else 0


class _AnchorBody(Struct, frozen=True, array_like=True):
    facts: int
    version: str
    state: bytes
    devices: bytes


class _ThinningBody(Struct, frozen=True, array_like=True):
    left: tuple[int, ...]
    left_digest: bytes


def record_of(cut: Anchor | Thinning, *, number: int, made_at: Micros) -> tuple[CutRecord, bytes]:
    """A cut as it is kept, and its body."""
    if isinstance(cut, Anchor):
        log, at = "observations", 0
        body = _packed(_AnchorBody(cut.facts, cut.version, cut.state, cut.devices))
    else:
        log, at = "facts", cut.from_at
        body = _packed(_ThinningBody(cut.left, cut.left_digest))
    record = CutRecord(
        number=number,
        log=log,
        position=cut.position,
        made_at=made_at,
        recorded_at=cut.recorded_at,
        at=at,
        content=cut.link.content,
        times=cut.link.times,
        body_hash=body_hash(body),
    )
    return record, body


def cut_of(record: CutRecord, body: bytes) -> Anchor | Thinning:
    """The cut again; raises msgspec.DecodeError, ValidationError or UnicodeDecodeError where the body is none."""
    link = Link(record.content, record.times)
    if record.log == "observations":
        of = msgspec.msgpack.decode(body, type=_AnchorBody)
        return Anchor(
            position=record.position,
            link=link,
            recorded_at=record.recorded_at,
            facts=of.facts,
            version=of.version,
            state=of.state,
            devices=of.devices,
        )
    kept = msgspec.msgpack.decode(body, type=_ThinningBody)
    return Thinning(
        position=record.position,
        link=link,
        recorded_at=record.recorded_at,
        from_at=record.at,
        left=kept.left,
        left_digest=kept.left_digest,
    )


def digest_after(before: bytes, site: SiteId, record: CutRecord) -> bytes:
    """The digest over a cut and all before it; ``before`` is empty at the first."""
    covered = _packed(("twin.cuts/1", site, before, msgspec.to_builtins(record, builtin_types=(bytes,))))
    return hashlib.blake2b(covered, digest_size=32).digest()


def body_hash(body: bytes) -> bytes:
    """What a record holds of its body."""
    return hashlib.blake2b(body, digest_size=32).digest()


def left_digest(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Over the facts, as columns, that a thinning left, in position order."""
    kept = list(rows)
    content = content_after(b"", "facts", kept)
    return hashlib.blake2b(_packed((content, [row["recorded_at"] for row in kept])), digest_size=32).digest()


def check_observations(site: SiteId, after: int, cut: int) -> None:
    """Raise Cut where observations after a position are asked for and are cut."""
    if max(after, 0) < cut:
        raise Cut(
            f"observations {max(after, 0) + 1} to {cut} of site '{site}' were cut by retention; ask for those after {cut}, or "
            "restore a backup made before"
        )


def wants_movement(types: Sequence[str]) -> bool:
    """Whether facts of these types, all if none is named, are among those that are cut."""
    return not types or bool(set(MOVEMENT) & set(types))


def check_facts(site: SiteId, after: int, types: Sequence[str], cut: int) -> None:
    """Raise Cut where movement facts after a position are asked for and are cut."""
    if max(after, 0) < cut and wants_movement(types):
        raise Cut(
            f"movement facts {max(after, 0) + 1} to {cut} of site '{site}' were cut by retention; ask for facts after {cut}, "
            f"or for types other than {', '.join(MOVEMENT)}"
        )


def check_follows(site: SiteId, cuts: Cuts, until: int) -> None:
    """Raise BadInput where facts would be cut whose observations are still there: a replay compares with them."""
    last = cuts.anchor.facts if cuts.anchor else 0
    if until > last:
        raise BadInput(
            f"the movement facts of site '{site}' can be cut up to {last}, not {until}: later ones follow from observations "
            "that are kept. Cut those first"
        )
