"""What fusion must reach on ten seeds of two hours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GOALS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "hota": (0.85, 1.0),
        "assa": (0.95, 1.0),
        "idf1": (0.97, 1.0),
        "idf1_moving": (0.95, 1.0),
        "session_precision": (0.995, 1.0),
        "session_recall": (0.995, 1.0),
        "entry_error_p95_s": (0.0, 0.5),
        "exit_error_p95_s": (0.0, 0.5),
        "exact_stay": (0.98, 1.0),
        "position_median_m": (0.0, 0.25),
        "position_p95_m": (0.0, 1.0),
        "nees_coverage95": (0.93, 0.97),
        "stall_minutes": (0.998, 1.0),
    }
)
"""Least and most of each figure, on ``default`` noise."""


def is_met(name: str, value: float | None) -> bool:
    """Whether a figure is where it should be; one without a goal is, one that is not known is not."""
    if name not in GOALS:
        return True
    least, most = GOALS[name]
    return value is not None and least <= value <= most


def goal_text(name: str) -> str:
    """The goal for reading; empty where there is none."""
    if name not in GOALS:
        return ""
    least, most = GOALS[name]
    if least == 0.0:
        return f"≤ {most:g}"
    return f"≥ {least:g}" if most == 1.0 else f"{least:g} to {most:g}"
