"""What is to happen in every round of a loop."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import BadInput

USUAL_S = 180.0
"""The round that the usual demand fills."""


class LoopDemand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens in every round.

    Attributes:
        parked_share: of the usable stalls, at the seam.
        n_returning: vehicles that leave and come back; their stays cross the seam.
        n_visiting: whole stays within a round, of at least ``stay_s`` in the stall.
        n_passing: vehicles that drive through.
        lookalike_share: of the vehicles; over 0, at least one that moves has a look-alike on site with it.
        back_in_share: of the drivers, where they can.
        seen_share: of the time of every drive, some camera sees the vehicle: at least 40 % of it, 16 px high. Where cameras
            cover less of a site, the best seen of some rounds is taken.
        people_per_vehicle: who walk from a vehicle that has parked, and back to it before it leaves; 0: nobody walks.
        longest_pause_s: between one entry or exit and the next, across the seam too.
        speed_mps: what drivers like to go.
    """

    parked_share: float = 0.6
    n_returning: int = 5
    n_visiting: int = 4
    n_passing: int = 3
    stay_s: float = 28.0
    lookalike_share: float = 0.25
    back_in_share: float = 0.2
    seen_share: float = 0.75
    people_per_vehicle: float = 1.4
    longest_pause_s: float = 30.0
    speed_mps: float = 5.0


def check_demand(demand: LoopDemand, site: Site, n_stalls: int) -> None:
    """Raises BadInput where the demand cannot be, or not on the site."""
    shares = (demand.parked_share, demand.lookalike_share, demand.back_in_share, demand.seen_share)
    counts = (demand.n_returning, demand.n_visiting, demand.n_passing)
    if not all(0 <= share <= 1 for share in shares) or min(counts) < 0 or not demand.speed_mps > 0 or not demand.stay_s > 0:
        raise BadInput(f"{demand} asks for what cannot be; shares are from 0 to 1, counts from 0 on, times and speeds over 0")
    parked = n_parked(demand, n_stalls)
    if demand.n_returning > parked or demand.n_visiting > n_stalls - parked:
        raise BadInput(
            f"of the {n_stalls} usable stalls of '{site.name}', {parked} are parked on and {n_stalls - parked} free: not "
            f"enough for {demand.n_returning} returning and {demand.n_visiting} visiting vehicles; ask for fewer"
        )


def usual_demand(period_s: float) -> LoopDemand:
    """The usual demand; of a shorter round, the part that it has time for, and in a longer one longer pauses."""
    whole, share = LoopDemand(), period_s / USUAL_S
    if share >= 1:
        return replace(whole, longest_pause_s=whole.longest_pause_s * share)
    returning, visiting, passing = (max(1, round(n * share**2)) for n in (whole.n_returning, whole.n_visiting, whole.n_passing))
    stay_s = whole.stay_s * share
    return replace(whole, n_returning=returning, n_visiting=visiting, n_passing=passing, stay_s=stay_s)


def n_parked(demand: LoopDemand, n_stalls: int) -> int:
    """Stalls that are taken at the seam."""
    return round(demand.parked_share * n_stalls)
