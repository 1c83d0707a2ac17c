"""Which tracks are one vehicle, and by whose name they go: as a track is confirmed, once a second, and as people decide."""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.ids import SECOND, EventId, Micros
from twin.fusion import camera_links, doubles, joining
from twin.fusion.appearance import Gallery, with_views
from twin.fusion.draft import Draft
from twin.fusion.exchange import exchanged, is_strange, slid
from twin.fusion.identity import SURE, Reappearance, certainty_of, is_unlike
from twin.fusion.place import fused, squared_distance
from twin.fusion.recognition import recognitions
from twin.fusion.state import Track, TrackId, known_at
from twin.fusion.unseen import Sighting

_SAME_PARKED_M = 1.8  # nearer than two parked vehicles' centres can be
_SAME_D2 = 6.0  # chi-squared, 2 degrees of freedom, 95 %
_SAME_MOVING_M = 3.5  # two views of one moving vehicle may differ so much where one of them is cut


class Identities:
    """Works on a draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def confirm(self, track: Track) -> None:
        """A ripe track is a vehicle: one that is followed already, one that was out of sight, or a new one."""
        if (double := self._double_of(track)) is not None:
            self._draft.linking.hand_over(track.id, double, track.motion.at)
            self._draft.drop(track.id)
            return
        track.gallery = self._views_of(track)
        known = self._draft.life.confirm(track, self._draft.state)
        self._learn(track, known)
        if known is not None:
            self._draft.drop(known.track.id)
            self._draft.linking.hand_over(known.track.id, track, track.motion.at)
        self._draft.linking.hand_over(track.id, track, track.motion.at)

    def _learn(self, track: Track, known: Reappearance | None) -> None:
        """What a newly confirmed track says of how vehicles get from camera to camera."""
        if not self._draft.scene.parameters.learns_links:
            return
        if known is None:
            if track.is_inner_birth and not track.has_entered:
                self._draft.state = replace(
                    self._draft.state, links=camera_links.with_new(self._draft.state.links, track.seen_by)
                )
            return
        if known.gap is None or known.is_ambiguous or known.certainty < SURE:
            return
        learned = self._draft.state.links
        if known.track.status != "hidden":  # it was lost so short a while ago that nobody has counted it
            learned = camera_links.with_lost(learned, known.gap.lost_by)
        self._draft.state = replace(self._draft.state, links=camera_links.with_passage(learned, known.gap))
        if (fact := camera_links.estimated(self._draft.state.links, known.gap)) is not None:
            self._draft.emission.emit(track.motion.at, fact)

    def _double_of(self, track: Track) -> Track | None:
        """The vehicle that this track also is: as near as what is known of both allows, and no camera ever saw both at once.

        Farther off than there is room for another vehicle it must not look like another, either: of two in neighbouring stalls,
        each seen by a camera of its own, places alone do not tell.
        """
        views, nats = self._views_of(track), self._draft.state.scores.nats
        for other in self._draft.state.tracks.values():
            if other.vehicle is None or other.status == "hidden" or other.level != track.level or other.id == track.id:
                continue
            is_watched = track.motion.at - other.seen_at <= SECOND // 2
            if not is_watched or not _is_in_reach(track, other) or doubles.seem_two(track, other):
                continue
            if _has_no_room(track, other) or not is_strange(views, other.gallery, nats):
                return other
        return None

    def _views_of(self, track: Track) -> Gallery:
        """How a track looks, by all of its tracklets."""
        gallery = track.gallery
        for name in track.tracklets:
            gallery = with_views(gallery, self._draft.state.views.get(name, ()))
        return gallery

    def unite(self, until_at: Micros) -> None:
        """Look for vehicles that are one, and for those that go by another's name."""
        tracks = self._draft.state.tracks
        suspicions = doubles.suspected(tracks.values(), self._draft.state.suspicions, until_at)
        self._draft.state = replace(self._draft.state, suspicions=suspicions)
        for pair in suspicions:
            elder, younger = tracks.get(pair.elder), tracks.get(pair.younger)
            if elder is None or younger is None or not doubles.is_sure(pair, elder, younger, until_at):
                continue
            nats = self._draft.state.scores.nats
            if doubles.must_look_alike(elder, younger, until_at) and is_unlike(elder.gallery, younger.gallery, nats):
                continue
            self._join(elder.id, younger, until_at)
        for track in slid(self._draft.state, until_at):
            self.give_back(tracks[track.id], until_at)  # another's name may be its own by then
        for one in recognitions(self._draft.state, self._draft.scene, until_at):
            self._recognize(one.lost, self._draft.mine(one.found.id), one.margin, until_at)
        for one, other in exchanged(self._draft.state, self._draft.scene, until_at):
            self._exchange(self._draft.mine(one.id), self._draft.mine(other.id), until_at)

    def _recognize(self, lost: Track, found: Track, margin: float, at: Micros) -> None:
        """A vehicle that began anew is one that was lost: it goes by that one's name, as surely as at first sight."""
        is_on_its_level = all(one.fact.level == found.level for one in found.path)
        self._take_back(self._draft.mine(lost.id), found, at)
        is_sure = certainty_of(margin) >= SURE and "ambiguous_identity" not in found.flags
        if is_sure and lost.status != "parked" and is_on_its_level:
            self._draft.telling.unseen(found, lost, Sighting(found.born_at, found.level, found.first_m))
        found.certainty = round(found.certainty * certainty_of(margin), 3)
        self._draft.linking.hand_over(lost.id, found, at)
        self._draft.columns.note_seen(found, found.seen_rate)
        self._draft.drop(lost.id)

    def _exchange(self, one: Track, other: Track, at: Micros) -> None:
        """Two tracks follow each other's vehicles: their names change places."""
        joining.exchange(one, other, at)
        for track in (one, other):
            self._draft.telling.place(track, at)
            self._draft.columns.write(track)
            self._draft.linking.hand_over(track.id, track, at)

    def _join(self, name: TrackId, younger: Track, at: Micros, decision: EventId | None = None) -> None:
        """Two tracks are one vehicle: the elder goes on."""
        elder = self._draft.mine(name)
        if decision is None and known_at(younger) < known_at(elder):  # its track is the younger, its name is not
            self._take_back(self._draft.mine(younger.id), elder, at)
        else:
            joining.unite(elder, younger, at, self._draft.emission, decision)
        self._draft.columns.note_seen(elder, elder.seen_rate)
        self._draft.linking.hand_over(younger.id, elder, at)
        self._draft.drop(younger.id)

    def give_back(self, track: Track, at: Micros) -> bool:
        """If another track is the vehicle that this one was until it left its place, it gets the name, and this one ends."""
        for other in self._draft.state.tracks.values():
            if other.id != track.id and joining.is_left_behind(track, other, self._draft.state.scores.nats):
                mine = self._draft.mine(other.id)
                self._take_back(self._draft.mine(track.id), mine, at)
                self._draft.drop(track.id)
                return True
        return False

    def _take_back(self, track: Track, other: Track, at: Micros) -> None:
        """A track goes by another's name from now on, and so do its tracklets and its place."""
        joining.take_back(track, other, at, self._draft.emission)
        self._draft.linking.hand_over(other.id, other, at)
        if other.status == "parked":  # it says nothing until it moves
            self._draft.telling.parked(other)

    def merge_decided(self, at: Micros) -> bool:
        """Of two tracks that a person said are one vehicle, one goes on; whether there was anything to do."""
        due = [one for one in self._draft.state.merges if one.at <= at]
        if not due:
            return False
        for one in due:
            by_name = {track.vehicle: track for track in self._draft.state.tracks.values() if track.status != "left"}
            elder, younger = by_name.get(one.vehicle), by_name.get(one.merged)
            if elder is not None and younger is not None:
                self._join(elder.id, younger, one.at, one.decision)
        later = tuple(one for one in self._draft.state.merges if one.at > at)
        self._draft.state = replace(self._draft.state, merges=later)
        return True


def _has_no_room(newborn: Track, other: Track) -> bool:
    """Whether two tracks are nearer than the centres of two parked vehicles can be."""
    return _away2(newborn, other) < _SAME_PARKED_M * _SAME_PARKED_M


def _is_in_reach(newborn: Track, other: Track) -> bool:
    """Whether a new track may be a known one: within a length, or, where both stand, within what their places leave open."""
    if doubles.drives(newborn) and doubles.drives(other):
        return _away2(newborn, other) < _SAME_MOVING_M * _SAME_MOVING_M
    place = fused(newborn.looks)
    if _has_no_room(newborn, other) or place is None or other.status != "parked":
        return _has_no_room(newborn, other)
    (x, y, (xx, xy, yy)), (uu, uv, vv) = place, other.motion.covariance_m2
    return squared_distance(other.motion.x - x, other.motion.y - y, (xx + uu, xy + uv, yy + vv)) < _SAME_D2


def _away2(one: Track, other: Track) -> float:
    dx, dy = other.motion.x - one.motion.x, other.motion.y - one.motion.y
    return dx * dx + dy * dy
