"""The ``[gates]`` table of site.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from site_models.schema import GateAnswer, GateTerms


class GatesEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As ``GateTerms``, with what each key may be."""

    capacity: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    unknown_in: GateAnswer = "open"
    unknown_out: Literal["open", "ask"] = "ask"
    valid_s: Annotated[int, Meta(ge=10, le=300)] = 15


def gate_terms(entry: GatesEntry) -> GateTerms:
    """The table as the site keeps it."""
    return GateTerms(capacity=entry.capacity, unknown_in=entry.unknown_in, unknown_out=entry.unknown_out, valid_s=entry.valid_s)
