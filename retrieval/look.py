"""How likely two views show one vehicle, by the cosine of their embeddings: one logistic for each embedder.

The colour descriptor's cosine is a Bhattacharyya coefficient, which is high for any two cars on one asphalt. On 19
tracklets of a motorway video, 143 pairs of one tracklet had quartiles 0.93, 0.96, 0.98 and 1,179 pairs of two tracklets
0.84, 0.89, 0.92; its logistic is put between them. The packaged embedder's is fitted, with equal weight for both, to single
crops of its 100 held-out rendered vehicles in two cameras: 485 pairs of one vehicle (quartiles 0.60, 0.72, 0.81), 41,261 of
two (median 0.14, 95 % below 0.59). The curve for other embedders is the habit of re-identification networks, whose strangers
lie below 0.4 and whose pairs lie above 0.7. They order hits; none is calibrated on the site's own vehicles, and a look of 0.8
is not yet a frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from retrieval.rerank import Logistic

USUAL = Logistic(midpoint=0.55, scale=0.08)
BY_EMBEDDER: Mapping[str, Logistic] = MappingProxyType(
    {"colour-128": Logistic(midpoint=0.935, scale=0.02), "embedder": Logistic(midpoint=0.474, scale=0.087)}
)


def look_of(embedder: str) -> Logistic:
    """The logistic of an embedder's id, "name@version"."""
    return BY_EMBEDDER.get(embedder.partition("@")[0], USUAL)
