"""Where a standing vehicle stands: each camera's own mean of its looks, and all cameras' together.

What a camera gets wrong about a vehicle that stands (its size, what hides its lower edge, the calibration) it gets wrong in
every frame alike. So more frames of one camera make a place only so much surer, while another camera does; and a vehicle that
starts to move is told by one camera's looks against its own mean, from which that error drops out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from twin.events.ids import CameraId, Micros
from twin.fusion.motion import Cov2

Place = tuple[float, float, Cov2]
"""x and y in m, and their covariance in m²."""
BoxPx = tuple[float, float, float, float]
CLEAR, COVERED, CUT = 0, 1, 2
"""How much of a vehicle a box is of: all, not its lower edge, not one of its sides. Less is better."""

FIRST_LOOKS = 10
"""After so many looks a camera knows a vehicle that stands."""
_MEMORY = 30  # looks after which the oldest begin to fade
_ENOUGH_LOOKS = 4
_STRANGE_D2 = 11.8  # chi-squared, 2 degrees of freedom, 99.7 %
_STRANGE_M = 1.3  # nearer than this there is no room for another vehicle
_SURELY_NEAR_M = 1.2
_MOST_KNOWN = 4_096
_SYSTEMATIC = 0.3  # share of a look's variance that all looks of the camera have in common


class Look(Struct, frozen=True, gc=False, array_like=True):
    """One camera's mean of its looks at a standing vehicle.

    Attributes:
        covariance_m2: of one look.
        rank: the best kind of box so far; only such boxes are in the mean.
        box_px: the newest of them.
        was_known: whether the camera knew the vehicle by worse boxes before.
    """

    n: int
    at: Micros
    x: float
    y: float
    covariance_m2: Cov2
    rank: int
    box_px: BoxPx
    was_known: bool = False


def looked(
    before: Look | None, at: Micros, point_m: tuple[float, float], covariance_m2: Cov2, rank: int, box_px: BoxPx
) -> Look:
    """The mean with another look; a better kind of box replaces all worse ones, and a worse one adds nothing."""
    x, y = point_m
    if before is None:
        return Look(1, at, x, y, covariance_m2, rank, box_px)
    if rank < before.rank:
        return Look(1, at, x, y, covariance_m2, rank, box_px, before.was_known or before.n >= FIRST_LOOKS)
    if rank > before.rank:
        return before
    gain = 1.0 / min(before.n + 1, _MEMORY)
    return Look(
        min(before.n + 1, _MEMORY),
        at,
        before.x + gain * (x - before.x),
        before.y + gain * (y - before.y),
        _mean(before.covariance_m2, covariance_m2, gain),
        rank,
        box_px,
        before.was_known,
    )


_known: dict[int, tuple[Mapping[CameraId, Look], Place | None]] = {}
_strange: dict[tuple[int, CameraId], tuple[Mapping[CameraId, Look], bool]] = {}


def fused(looks: Mapping[CameraId, Look]) -> Place | None:
    """The place that all cameras' looks tell together, with its covariance; None without any.

    Weighted by information: x = (Σ Rᵢ⁻¹)⁻¹ Σ Rᵢ⁻¹ xᵢ, with Rᵢ = R (s + (1 - s) / n).

    Args:
        looks: never changed in place: what they told is remembered, for of what stands most boxes change nothing.
    """
    known = _known.get(id(looks))
    if known is not None and known[0] is looks:
        return known[1]
    place = _fused([looks[name] for name in sorted(looks)])
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[id(looks)] = looks, place
    return place


def alone(look: Look) -> Place:
    """As ``fused``, of one camera's looks."""
    share = _SYSTEMATIC + (1.0 - _SYSTEMATIC) / look.n
    xx, xy, yy = look.covariance_m2
    return look.x, look.y, (share * xx, share * xy, share * yy)


def without(looks: Mapping[CameraId, Look], camera: CameraId) -> Place | None:
    """As ``fused``, of what the other cameras see clearly."""
    return _fused([looks[name] for name in sorted(looks) if name != camera and looks[name].rank == CLEAR])


def without_strays(looks: dict[CameraId, Look]) -> dict[CameraId, Look]:
    """Without looks of which there are too few to tell a stranger by, and which are apart from what is known well."""
    if all(look.n >= _ENOUGH_LOOKS for look in looks.values()):
        return looks
    sure = _fused([looks[name] for name in sorted(looks) if looks[name].n >= _ENOUGH_LOOKS])
    return {name: look for name, look in looks.items() if look.n >= _ENOUGH_LOOKS or not _are_apart(_fused((look,)), sure)}


def is_stranger(looks: Mapping[CameraId, Look], camera: CameraId) -> bool:
    """Whether what a camera sees is another vehicle than what others see: their means are apart, and theirs is better known.

    The looks that are apart from the camera's, each by itself, stand against all the rest, which it is one of. So of two
    vehicles that were taken for one the better known stays, whichever camera looks next.

    Args:
        looks: as of ``fused``.
    """
    if len(looks) < 2:
        return False
    known = _strange.get((id(looks), camera))
    if known is not None and known[0] is looks:
        return known[1]
    found = _is_stranger(looks, camera)
    if len(_strange) >= _MOST_KNOWN:
        _strange.clear()
    _strange[id(looks), camera] = looks, found
    return found


def _is_stranger(looks: Mapping[CameraId, Look], camera: CameraId) -> bool:
    own = looks.get(camera)
    if own is None or own.n < _ENOUGH_LOOKS:
        return False
    if _are_near(own, looks.values()):
        return False
    known = [looks[name] for name in sorted(looks) if looks[name].n >= _ENOUGH_LOOKS]
    far = [look for look in known if _are_apart(_fused((look,)), _fused((own,)))]
    ours, theirs = _fused([look for look in known if look not in far]), _fused(far)
    if ours is None or theirs is None or not _are_apart(ours, theirs):
        return False
    (_, _, (xx, _, yy)), (_, _, (uu, _, vv)) = ours, theirs
    return uu + vv <= xx + yy


def _are_near(own: Look, looks: Iterable[Look]) -> bool:
    """Whether all looks that tell are surely not apart from one of them: ``_fused`` of one is its place, to rounding."""
    x, y = own.x, own.y
    for one in looks:
        dx, dy = one.x - x, one.y - y
        if dx * dx + dy * dy > _SURELY_NEAR_M * _SURELY_NEAR_M and one.n >= _ENOUGH_LOOKS:
            return False
    return True


def _are_apart(one: Place | None, other: Place | None) -> bool:
    """Whether two places are of two vehicles: d² of their difference, and room for both."""
    if one is None or other is None:
        return False
    (x, y, (xx, xy, yy)), (u, v, (uu, uv, vv)) = one, other
    dx, dy = x - u, y - v
    if dx * dx + dy * dy <= _STRANGE_M * _STRANGE_M:
        return False
    return squared_distance(dx, dy, (xx + uu, xy + uv, yy + vv)) > _STRANGE_D2


def squared_distance(dx: float, dy: float, covariance_m2: Cov2) -> float:
    """Squared Mahalanobis distance of a difference with this covariance."""
    a, b, c = covariance_m2
    return (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / (a * c - b * b)


def _fused(looks: Iterable[Look]) -> Place | None:
    return together(alone(look) for look in looks)


def together(places: Iterable[Place]) -> Place | None:
    """What independent places tell together, weighted by information; None without any."""
    a = b = c = p = q = 0.0
    for x, y, (xx, xy, yy) in places:
        determinant = xx * yy - xy * xy
        ia, ib, ic = yy / determinant, -xy / determinant, xx / determinant
        a, b, c = a + ia, b + ib, c + ic
        p, q = p + ia * x + ib * y, q + ib * x + ic * y
    determinant = a * c - b * b
    if not determinant > 0.0:
        return None
    xx, xy, yy = c / determinant, -b / determinant, a / determinant
    return xx * p + xy * q, xy * p + yy * q, (xx, xy, yy)


def _mean(before: Cov2, after: Cov2, gain: float) -> Cov2:
    return (
        before[0] + gain * (after[0] - before[0]),
        before[1] + gain * (after[1] - before[1]),
        before[2] + gain * (after[2] - before[2]),
    )
