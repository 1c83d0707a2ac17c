"""All that was seen of one vehicle, made ready once to be compared with many probes. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import isnan, nan

import numpy as np
from msgspec import Struct

from retrieval.appearance import Ints, Looks
from retrieval.columns import KIND_CODE, Columns, Floats, ShotsInColumns
from retrieval.context import Shot
from retrieval.hits import Hit
from retrieval.tracklet_views import Gallery, TrackletViews, gallery_of
from retrieval.vocabulary import Vocabulary
from retrieval.whereabouts import Clocks
from twin.events.ids import CameraId, Micros, TrackletId


class Words:
    """What sightings of a site have: cameras and colours as numbers."""

    def __init__(self) -> None:
        self.cameras: Vocabulary[CameraId] = Vocabulary()
        self.colours: Vocabulary[str] = Vocabulary()


class VehicleLooks(Struct, frozen=True, kw_only=True, eq=False):
    """What a vehicle looks like, and how much that rests on."""

    looks: Looks
    n_views: int
    n_cameras: int

    @classmethod
    def of(cls, gallery: Gallery) -> VehicleLooks:
        """Of its views by camera."""
        return cls(looks=Looks.of(gallery.shots), n_views=gallery.n_views, n_cameras=gallery.n_cameras)

    def without(self, dropped: frozenset[CameraId]) -> VehicleLooks:
        """Without some of the cameras."""
        rows = [row for row, name in enumerate(self.looks.cameras) if name not in dropped]
        n_views = self.looks.n_views[rows]
        looks = Looks(
            cameras=tuple(self.looks.cameras[row] for row in rows),
            totals=self.looks.totals[rows],
            n_tracklets=self.looks.n_tracklets[rows],
            n_views=n_views,
            products=self.looks.products[np.ix_(rows, rows)],
        )
        return VehicleLooks(looks=looks, n_views=int(n_views.sum()), n_cameras=len(rows))


class VehicleViews(Struct, frozen=True, kw_only=True, eq=False):
    """Views of a vehicle's tracklets, one after the other.

    Attributes:
        number_of, starts: of each tracklet its place among them, and its first row.
        at: (N,) by the cameras' own clocks.
        camera, kind, colour: (N,) as numbers of ``words`` and of ``columns.KINDS``.
        plates: rows with a plate, as it was read.
        together: what it looks like.
    """

    words: Words
    seen: tuple[TrackletViews, ...]
    number_of: Mapping[TrackletId, int]
    starts: tuple[int, ...]
    at: Ints
    camera: Ints
    kind: Ints
    colour: Ints
    plates: tuple[tuple[int, str], ...]
    together: VehicleLooks

    @classmethod
    def of(cls, seen: Sequence[TrackletViews], words: Words) -> VehicleViews:
        """Of a vehicle's tracklets, in their order."""
        every = [one for tracklet in seen for one in tracklet.sightings]
        sizes = [len(tracklet.sightings) for tracklet in seen]
        return cls(
            words=words,
            seen=tuple(seen),
            number_of={one.tracklet: number for number, one in enumerate(seen)},
            starts=tuple(accumulate(sizes[:-1], initial=0)) if sizes else (),
            at=np.array([one.at for one in every], np.int64),
            camera=words.cameras.codes(one.camera for one in every),
            kind=np.array([KIND_CODE[one.kind] for one in every], np.int64),
            colour=words.colours.codes(one.colour for one in every),
            plates=tuple((row, one.plate) for row, one in enumerate(every) if one.plate is not None),
            together=VehicleLooks.of(gallery_of(seen, None)),
        )

    @property
    def n_bytes(self) -> int:
        """About what is kept beside the tracklets' views."""
        looks = self.together.looks
        return 1_500 + 32 * len(self.at) + 100 * len(self.seen) + looks.totals.nbytes + looks.products.nbytes

    def row_of(self, hit: Hit) -> int | None:
        """A hit's row among all; None where it is none of these."""
        if (number := self.number_of.get(hit.sighting.tracklet)) is None:
            return None
        seen, row = self.seen[number], hit.row
        if seen is not hit.views:  # they changed meanwhile, or were not remembered
            if hit.point not in seen.ids:
                return None
            row = seen.ids.index(hit.point)
        return self.starts[number] + row

    def site_times(self, clocks: Clocks) -> Ints:
        """(N,) when the sightings were, by the site's clock."""
        if clocks.are_right:
            return self.at
        at = self.at.copy()
        for code in np.unique(self.camera).tolist():
            rows = self.camera == code
            at[rows] = clocks.all_corrected(self.words.cameras.words[code], at[rows])
        return at

    def looks_until(self, clocks: Clocks, at: Ints, until_at: Micros) -> VehicleLooks:
        """What it looks like by what was seen until a time.

        Args:
            at: (N,) when the sightings were, by the site's clock.
        """
        if not self.seen:
            return self.together
        starts = np.array(self.starts)
        is_early = np.maximum.reduceat(at, starts) <= until_at
        is_late = np.minimum.reduceat(at, starts) > until_at
        by_camera: dict[CameraId, set[int]] = {}
        for one, early, late in zip(self.seen, is_early.tolist(), is_late.tolist(), strict=True):
            by_camera.setdefault(one.camera, set()).add(early - late)
        if any(len(each) > 1 or 0 in each for each in by_camera.values()):  # some of a camera's views are early, some late
            known = (one.until(clocks, until_at) for one in self.seen)
            return VehicleLooks.of(gallery_of((one for one in known if one is not None), None))
        return self.together.without(frozenset(name for name, each in by_camera.items() if -1 in each))


class SeenShots(ShotsInColumns):
    """A vehicle's sightings beside a probe.

    Args:
        at: (N,) by the site's clock.
        near: rows that were found near the probe, with their cosines.
        until_at: leaves later ones out.
    """

    def __init__(
        self, views: VehicleViews, at: Ints, near: Iterable[tuple[int, float]] = (), until_at: Micros | None = None
    ) -> None:
        look: Floats = np.full(len(at), nan)
        for row, cosine in near:
            look[row] = cosine
        self.views, self.rows = views, None
        camera, kind, names = views.camera, views.kind, views.words.cameras.words
        if until_at is not None and len(at) and int(at.max()) > until_at:
            rows = self.rows = np.flatnonzero(at <= until_at)
            at, look, camera, kind = at[rows], look[rows], camera[rows], kind[rows]
        self.columns = Columns(at=at, cameras=names, camera=camera, look=look, kind=kind)

    rows: Ints | None

    @property
    def is_near(self) -> bool:
        """Whether any of them was found near the probe."""
        return not bool(np.isnan(self.columns.look).all())

    @property
    def plates(self) -> list[str]:
        """As they were read."""
        kept = None if self.rows is None else set(self.rows.tolist())
        return [plate for row, plate in self.views.plates if kept is None or row in kept]

    def of_colour(self, colour: str) -> tuple[int, int]:
        """How many have a colour at all, and how many have this one."""
        told = self.views.colour if self.rows is None else self.views.colour[self.rows]
        code = self.views.words.colours.code(colour)
        return int((told >= 0).sum()), 0 if code is None else int((told == code).sum())

    def shot(self, row: int) -> Shot:
        """See ``ShotsInColumns``."""
        look, own = float(self.columns.look[row]), row if self.rows is None else int(self.rows[row])
        number = bisect_right(self.views.starts, own) - 1
        seen = self.views.seen[number].sightings[own - self.views.starts[number]]
        return Shot(
            tracklet=seen.tracklet,
            camera=seen.camera,
            at=int(self.columns.at[row]),
            look=None if isnan(look) else look,
            crop=seen.crop,
            kind=seen.kind,
            colour=seen.colour,
            plate=seen.plate,
        )
