"""A camera's geometry from points that a person marked in its picture and on the plan.

Not part of a fold: it may use BLAS and iterate, and its result enters the log as it is, rounded.
"""

from twin.spatial.calibration.fit import MAX_PAIRS, Model, Solution, calibrate
from twin.spatial.calibration.marks import Lens, Marks, Pair
from twin.spatial.calibration.quality import Calibration, GroundSigma, PairFit
from twin.spatial.calibration.remarks import Remark

__all__ = [
    "MAX_PAIRS",
    "Calibration",
    "GroundSigma",
    "Lens",
    "Marks",
    "Model",
    "Pair",
    "PairFit",
    "Remark",
    "Solution",
    "calibrate",
]
