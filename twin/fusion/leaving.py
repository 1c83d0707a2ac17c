"""Who it is that leaves: the exit is where a lost identity costs money, and the last moment to look for it.

A track that began anew in the middle of the site never came in; its stay would stay open, and its exit be an orphan. One
that took another's name leaves for it; then it does not look like who came in.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from twin.events.ids import SECOND, Micros
from twin.fusion import plates
from twin.fusion.appearance import Nats, log_likelihood_ratio, plates_of
from twin.fusion.doubles import seem_two
from twin.fusion.identity import HANDOVER_US, certainty_of, vehicle_of
from twin.fusion.scene import Scene
from twin.fusion.state import Track, known_at

_ALIKE_NATS = 1.5  # of looks alone: there is nothing else to go by
_MARGIN_NATS = 1.0
_STRANGE_NATS = -0.8  # of 20 wrong and 68 right stays of seeds 601 and 602 that closed, 8 and none looked so strange
_STRANGE_CERTAINTY = 0.5
_OTHER_PLATE_NATS = -1.5  # of plates alone: look-alikes may have exchanged their names
_N_NEWEST = 3  # views: what a vehicle looked like long ago says nothing of who goes by its name now
_BOTH_SEEN: Micros = 20 * SECOND  # longer do boxes of others not hold a track that its vehicle has left


class Leaver(Struct, frozen=True):
    """Who leaves.

    Attributes:
        lost: the track that it was before it was lost; None: it goes by its own name.
        certainty: 0..1, how sure this is.
    """

    lost: Track | None
    certainty: float


def recognized(leaving: Track, tracks: Iterable[Track], scene: Scene, at: Micros, nats: Nats) -> Leaver:
    """Who leaves at a time: one that came in and was lost, where it looks like that one more than like any other."""
    if leaving.has_entered:
        return Leaver(None, _same_since_entry(leaving, nats))
    alike = [
        (log_likelihood_ratio(leaving.gallery, track.gallery, nats), track)
        for track in tracks
        if track.id != leaving.id and _is_lost_since(track, leaving) and _can_be_here(track, leaving, scene, at)
    ]
    alike.sort(key=lambda one: (-one[0], one[1].id))
    if not alike or alike[0][0] < _ALIKE_NATS or not alike[0][1].has_entered:
        return Leaver(None, 1.0)
    margin = alike[0][0] - max(alike[1][0] if len(alike) > 1 else 0.0, 0.0)
    return Leaver(alike[0][1], certainty_of(margin)) if margin >= _MARGIN_NATS else Leaver(None, 1.0)


def _same_since_entry(leaving: Track, nats: Nats) -> float:
    """How sure it is that who leaves is who came in: the first view of a vehicle is always kept, and so are plates for long."""
    newest = leaving.strange or leaving.gallery[1:][-_N_NEWEST:]
    plated = [one for one in leaving.gallery[1:] if one.plate is not None and one not in newest]
    first = (*leaving.gallery[:1], *plated[:1])
    is_strange = log_likelihood_ratio(first, newest, nats) < _STRANGE_NATS
    is_another = plates.log_likelihood_ratio(plates_of(first), plates_of(newest)) < _OTHER_PLATE_NATS
    return _STRANGE_CERTAINTY if is_strange or is_another else 1.0


def _is_lost_since(track: Track, leaving: Track) -> bool:
    """Whether a vehicle may be the one that began anew as ``leaving``: it was not seen since then, or not for long."""
    if vehicle_of(track) in (None, leaving.vehicle) or seem_two(leaving, track):
        return False
    return track.seen_at <= known_at(leaving) + (_BOTH_SEEN if track.status == "hidden" else HANDOVER_US)


def _can_be_here(track: Track, leaving: Track, scene: Scene, at: Micros) -> bool:
    here, there = (track.motion.x, track.motion.y), (leaving.motion.x, leaving.motion.y)
    way_m = scene.way_m(track.level, here, leaving.level, there)
    return way_m is not None and way_m <= scene.reach_m(at - track.seen_at)
