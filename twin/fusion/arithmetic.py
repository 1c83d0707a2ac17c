"""Rounding to what facts carry."""

from __future__ import annotations


def mm(value: float) -> float:
    """Rounded to 1e-3, never minus zero: what facts say in metres and metres a second."""
    return round(value, 3) + 0.0


def micro(value: float) -> float:
    """Rounded to 1e-6, never minus zero: what facts say in square metres."""
    return round(value, 6) + 0.0


def probability_of(nats: float) -> float:
    """Of log-odds, 1 / (1 + e^-nats), to 3 digits: e^-x as (1 + x / 1024)^-1024, which needs no platform's exponential."""
    root = 1.0 / (1.0 + min(abs(nats), 100.0) / 1024.0)
    for _ in range(10):
        root *= root
    return round(1.0 / (1.0 + root) if nats >= 0.0 else root / (1.0 + root), 3)
