"""Which track each camera's tracklets belong to, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from twin.events.facts import TrackletAssigned
from twin.events.ids import SECOND, CameraId, Micros, TrackletId, VehicleId
from twin.events.observations import DetectedBox
from twin.fusion.appearance import PRIOR_NATS, Gallery, Nats, with_views
from twin.fusion.emission import Emission
from twin.fusion.exchange import is_strange
from twin.fusion.frame import Measured, Seen
from twin.fusion.state import Track, TrackId, TrackletLink

_RECENT: Micros = 2 * SECOND  # what a camera saw so short a while ago and sees no more was missed
_N_TRACKLETS = 8


class Linking:
    """Works on the links of one step.

    Args:
        links: of each camera's tracklets, written to. views: how tracklets look. nats: what likeness is worth.
    """

    def __init__(
        self,
        links: dict[CameraId, dict[TrackletId, TrackletLink]],
        views: Mapping[TrackletId, Gallery],
        emission: Emission,
        nats: Nats = PRIOR_NATS,
    ) -> None:
        self._links, self._views, self._emission, self._nats = links, views, emission, nats
        self._forgotten_until: Micros | None = None

    def link(self, track: Track, measured: Measured, seen: Seen) -> None:
        """A box is this track's, and so is its tracklet."""
        name, box, camera = measured.box.tracklet, measured.box, seen.pending.camera
        links = self._links.setdefault(camera, {})
        before = links.get(name)
        if before is None or before.track != track.id:
            track.tracklets = (*(one for one in track.tracklets if one != name), name)[-_N_TRACKLETS:]
            views = self._views.get(name, ())
            if not is_strange(views, track.gallery, self._nats):  # it may have been another's until now
                track.gallery = with_views(track.gallery, views)
        assigned, assigned_to = (None, None) if before is None else (before.assigned, before.assigned_to)
        link = TrackletLink(track.id, camera, box, measured.point_m, measured.covariance_m2, seen.at, assigned, assigned_to)
        links[name] = link if track.vehicle == assigned_to else self._assigned(name, link, track.vehicle, seen.at)

    def keep(self, track: Track, measured: Measured, seen: Seen) -> None:
        """As ``link``, of a box that has not changed."""
        camera, name = seen.pending.camera, measured.box.tracklet
        links = self._links[camera]
        before = links.get(name)
        if before is None or before.track != track.id or before.assigned_to != track.vehicle:
            self.link(track, measured, seen)
            return
        links[name] = TrackletLink(
            before.track, camera, before.box, before.point_m, before.covariance_m2, seen.at, before.assigned, before.assigned_to
        )

    def displace(self, seen: Seen) -> None:
        """Boxes without a place: when they are said not to have changed, they are not where they were placed before."""
        links = self._links.get(seen.pending.camera, {})
        for box in seen.invisible:
            if (link := links.get(box.tracklet)) is not None:
                links[box.tracklet] = replace(link, box=box, is_placed=False, seen_at=seen.at)

    def without_place(self, seen: Seen) -> set[TrackId]:
        """Tracks that a frame shows by boxes without a place: they are neither measured nor missed."""
        links = self._links.get(seen.pending.camera, {})
        return {link.track for box in seen.invisible if (link := links.get(box.tracklet)) is not None}

    def part(self, camera: CameraId, name: TrackletId) -> None:
        """A tracklet belongs to nobody."""
        self._links.get(camera, {}).pop(name, None)

    def hand_over(self, old: TrackId, track: Track, at: Micros) -> None:
        """Give a track's tracklets to another, or say that they are its own."""
        for links in self._links.values():
            for name, link in links.items():
                if link.track == old:
                    links[name] = self._assigned(name, replace(link, track=track.id), track.vehicle, at)

    def forget(self, until: Micros) -> None:
        """Forget tracklets that were not seen since."""
        if until == self._forgotten_until:
            return
        self._forgotten_until = until
        for links in self._links.values():
            for name in [name for name, link in links.items() if link.seen_at < until]:
                del links[name]

    def recent(self, seen: Seen) -> list[DetectedBox]:
        """Boxes that a frame's camera had a moment ago, and not in this frame."""
        links, since = self._links.get(seen.pending.camera, {}), seen.at - _RECENT
        return [link.box for link in links.values() if since <= link.seen_at < seen.at]

    def _assigned(self, name: TrackletId, link: TrackletLink, vehicle: VehicleId | None, at: Micros) -> TrackletLink:
        """Say whose the tracklet is, where that is new; the earlier statement is superseded."""
        if vehicle is None or link.assigned_to == vehicle:
            return link
        supersedes = () if link.assigned is None else (link.assigned,)
        fact = TrackletAssigned(tracklet=name, camera=link.camera, vehicle=vehicle)
        return replace(link, assigned=self._emission.emit(at, fact, supersedes=supersedes), assigned_to=vehicle)
