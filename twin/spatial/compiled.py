"""Compiles kernels to machine code where numba is installed; without it they run as they are written.

Both give the same bits: IEEE doubles, each operation by itself in the order written (no fast-math, no fused multiply-add, no
parallel loops). Kernels keep to ``+ - * /``, ``sqrt``, ``rint``, ``frexp`` and comparisons, and divide by no zero, where plain
Python would raise. Machine code is kept by the time and size of a kernel's file alone: other kernels and numbers that it uses
stand in the same file, which a test holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

try:
    from numba import njit  # pyright: ignore[reportMissingImports, reportMissingTypeStubs, reportUnknownVariableType]
except ImportError:
    njit = None

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

IS_COMPILED = njit is not None


def compiled(kernel: Kernel) -> Kernel:
    """The kernel as machine code, kept beside its source for the next process."""
    if njit is None:
        return kernel
    try:
        return cast("Kernel", njit(error_model="numpy", cache=True)(kernel))
    except RuntimeError:  # there is no folder that machine code could be kept in
        return cast("Kernel", njit(error_model="numpy")(kernel))
