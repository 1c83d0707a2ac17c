"""Rounding to what facts carry."""

from __future__ import annotations


def mm(value: float) -> float:
    """Rounded to 1e-3, never minus zero: what facts say in metres and metres a second."""
    return round(value, 3) + 0.0


def micro(value: float) -> float:
    """Rounded to 1e-6, never minus zero: what facts say in square metres."""
    return round(value, 6) + 0.0
