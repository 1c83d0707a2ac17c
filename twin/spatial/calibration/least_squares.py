"""Robust least squares over a vector of parameters, with the covariance of what came out."""

from __future__ import annotations

import math
from typing import Any, Protocol, cast

import numpy as np
from msgspec import Struct
from scipy.optimize import least_squares  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from site_models.schema import CameraGeometry
from twin.spatial.calibration.marks import Marks
from twin.spatial.compiled import Floats

_HUBER = 2.5
"""Residuals of more standard deviations than this pull no harder: one wrong pair does not turn the whole."""
_MOST_EVALUATIONS = 60  # of the residuals; those for differences come on top, one for each parameter
_NEAR_EVALUATIONS = 10  # of a fit that begins where a nearly equal one ended


class Unknowns(Protocol):
    """A camera model with free parameters. Shape letters: P parameters, R residuals, N pixels."""

    @property
    def start(self) -> Floats:
        """(P,) where to begin."""
        ...

    def of(self, marks: Marks) -> Unknowns:
        """The same parameters, judged by other marks of the same camera."""
        ...

    def residuals(self, parameters: Floats) -> Floats:
        """(R,) in standard deviations; the pairs' come first, x and y of each."""
        ...

    def geometry(self, parameters: Floats) -> CameraGeometry:
        """The camera with these parameters."""
        ...

    def pixels(self, parameters: Floats, ground_m: Floats) -> Floats:
        """(N, 2) pixels of (N, 2) places of the level's ground."""
        ...


class Fit(Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        parameters: (P,).
        covariance: (P, P), scaled up where the residuals are larger than the marks' own sigma explains.
        scale: the residuals' standard deviation over the one that was assumed, at least 1.
        cost: half the sum of squares, large ones damped.
    """

    unknowns: Any  # Unknowns: a protocol is no type that msgspec knows
    parameters: Floats
    covariance: Floats
    scale: float
    cost: float


def fit(unknowns: Unknowns, start: Floats | None = None) -> Fit:
    """The parameters with the least robust sum of squares near ``start``, which is where a nearly equal fit ended.

    First without damping, as a damped sum is flat far from its minimum; again with it, where a residual is large.

    Source: Huber, "Robust Statistics" (1981); Levenberg-Marquardt and the trust region reflective method as scipy has them.
    """
    begun, most = (unknowns.start, _MOST_EVALUATIONS) if start is None else (start, _NEAR_EVALUATIONS)
    found = _solved(unknowns, begun, method="lm", max_nfev=most)
    if float(np.abs(found.residuals).max()) > _HUBER:
        found = _solved(unknowns, found.parameters, loss="huber", f_scale=_HUBER, max_nfev=most)
    freedom = max(len(found.residuals) - len(found.parameters), 1)
    scale = max(1.0, math.sqrt(2.0 * found.cost / freedom))
    known = np.linalg.pinv(found.jacobian.T @ found.jacobian, hermitian=True).astype(np.float64)
    return Fit(unknowns=unknowns, parameters=found.parameters, covariance=known * (scale * scale), scale=scale, cost=found.cost)


class _Solved(Struct, frozen=True, kw_only=True):
    parameters: Floats
    residuals: Floats
    jacobian: Floats
    cost: float


def _solved(unknowns: Unknowns, start: Floats, **how: Any) -> _Solved:
    found = cast(Any, least_squares)(unknowns.residuals, start, x_scale="jac", **how)
    return _Solved(parameters=found.x, residuals=found.fun, jacobian=found.jac, cost=float(found.cost))
