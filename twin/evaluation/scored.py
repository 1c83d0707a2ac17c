"""What a kind of score finds in one run: figures that can be pooled, and the worst cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.evaluation.figures import Figure
from twin.events.ids import Micros


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that went wrong.

    Attributes:
        vehicle: true or of the tracks; None where it is about a stall.
        weight: how bad, to put cases of all runs in order.
        fields: what else is told.
    """

    case: str
    vehicle: str | None
    at: Micros
    weight: float
    stall: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A run's figures by name, on ``n`` samples or stays, and its cases."""

    n: int
    figures: Mapping[str, Figure]
    cases: list[Case]
