"""Who is let through: the gate's own lists, the twin's answer, or the site's rule where the twin cannot be reached. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ops.examples.plate import plain
from site_models.schema import GateAnswer, PortalDirection, Unreachable
from twin.events.facts import GateDecided
from twin.events.ids import Micros
from twin.events.observations import Direction, GateDecider


class Lists(Struct, frozen=True, kw_only=True):
    """Plates that the gate decides about by itself, as they are compared."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()


class Gate(Struct, frozen=True, kw_only=True):
    """A boundary portal, as the site model has it."""

    direction: PortalDirection
    if_unreachable: Unreachable | None = None


class Ruling(Struct, frozen=True, kw_only=True):
    """What is done with who asked.

    Attributes:
        by: None: the twin's own answer.
    """

    answer: GateAnswer
    by: GateDecider | None
    reason: str


def by_list(lists: Lists, direction: Direction | None, plate: str | None) -> Ruling | None:
    """What the lists say of a plate; None: nothing. Deny goes before allow, and holds nobody inside."""
    name = "" if plate is None else plain(plate)
    if name in lists.deny and direction == "in":
        return Ruling(answer="refuse", by="list", reason="on the deny list")
    if name in lists.allow and name not in lists.deny:
        return Ruling(answer="open", by="list", reason="on the allow list")
    return None


def by_twin(decided: GateDecided, now: Micros) -> Ruling | None:
    """What the twin says; None once its answer has expired: nobody acts on it then."""
    if now >= decided.expires_at:
        return None
    return Ruling(answer=decided.answer, by=None, reason=", ".join(decided.reasons))


def without_twin(gate: Gate | None, direction: Direction | None, waited_s: float) -> Ruling:
    """What the site has set for this gate; where it has set nothing, closed to who wants in and open to who wants out.

    Whoever stands outside can go elsewhere, and a full site stays no fuller; whoever is inside must not be locked in.
    """
    rule = None if gate is None else gate.if_unreachable
    rule = rule or ("open" if direction == "out" else "closed")
    why = f"no answer from the twin within {waited_s:g} s, and the site's rule is '{rule}'"
    return Ruling(answer="open" if rule == "open" else "refuse", by="unreachable", reason=why)


def direction_of(gates: Mapping[str, Gate], portal: str, given: Direction | None) -> Direction | None:
    """Which way is asked for, where that is clear."""
    known = gates.get(portal)
    if given is not None or known is None or known.direction == "both":
        return given
    return known.direction
