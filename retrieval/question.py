"""What search is asked, beside the probe."""

from __future__ import annotations

from msgspec import Struct

from retrieval.context import Anchor
from retrieval.index import EVERYWHERE, Where
from twin.events.ids import VehicleId
from twin.events.observations import VehicleKind
from twin.projections.moment import Moment


class Question(Struct, frozen=True, kw_only=True):
    """What to answer with.

    Attributes:
        moment: sightings up to ``at``, of vehicles as known at ``known_at``.
        near: where and when the probe was seen, as far as the asker knows; by the site's time.
        where: which sightings count; its ``until_at`` is the moment's.
        kind, colour, plate: of the probe, if they are known; evidence, not conditions.
        vehicles: only these; None: any.
        n_views: of how many views the probe is the mean.
        limit, skip: how many vehicles at most, after so many.
    """

    moment: Moment
    near: Anchor = Anchor()
    where: Where = EVERYWHERE
    kind: VehicleKind | None = None
    colour: str | None = None
    plate: str | None = None
    vehicles: frozenset[VehicleId] | None = None
    n_views: int = 1
    limit: int = 10
    skip: int = 0
