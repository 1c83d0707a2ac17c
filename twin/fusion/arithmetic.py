"""Logarithm from exact operations, and rounding to what facts carry. The platform's own differ in their last bits."""

from __future__ import annotations

import math

import numpy as np

from twin.spatial.camera import Floats

_LN2 = 0.6931471805599453
_TERMS = (1.0, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15)


def ln(values: Floats) -> Floats:
    """Natural logarithm of positive numbers, absolute error below 1e-8.

    ``frexp`` splits exactly; the mantissa goes through 2 artanh((m - 1) / (m + 1)), summed in a fixed order.
    """
    mantissa, exponent = np.frexp(values)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z2 = z * z
    total = np.zeros_like(values)
    for term in reversed(_TERMS):
        total = total * z2 + term
    return 2.0 * z * total + exponent * _LN2


def ln1(value: float) -> float:
    """``ln`` of one number."""
    mantissa, exponent = math.frexp(value)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z2, total = z * z, 0.0
    for term in reversed(_TERMS):
        total = total * z2 + term
    return 2.0 * z * total + exponent * _LN2


def mm(value: float) -> float:
    """Rounded to 1e-3, never minus zero: what facts say in metres and metres a second."""
    return round(value, 3) + 0.0


def micro(value: float) -> float:
    """Rounded to 1e-6, never minus zero: what facts say in square metres."""
    return round(value, 6) + 0.0
