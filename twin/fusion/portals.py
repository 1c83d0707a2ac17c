"""Crossings of portals by tracks: on which side a track is, and when it changed sides.

A side counts once the track is ``portal_side_m`` beyond the line, so that jitter on the line crosses nothing; against the
direction of a one-way portal it takes more to be believed. The time of the crossing is interpolated on the trail between the
two points around the line.
"""

from __future__ import annotations

import math

from msgspec import Struct

from site_models.schema import Portal
from twin.events.facts import Direction
from twin.events.ids import SECOND, Micros
from twin.fusion.state import Track, TrailPoint

_BESIDE = 0.15  # share of its length that a portal catches beyond its ends
_AGAINST_M = 3.0  # beyond the line of a one-way portal, where nobody is expected to come from the other side
_SETTLED_M = 4.0  # farther from the line than this, at walking speed, a side is forgotten


class Crossing(Struct, frozen=True, gc=False):
    """A track crossed a portal."""

    portal: Portal
    direction: Direction
    at: Micros
    point_m: tuple[float, float]
    is_extrapolated: bool = False


def side_m(portal: Portal, x: float, y: float) -> tuple[float, float, float]:
    """Signed distance to the line (left positive), place along it (0..1 on the segment), and its length."""
    (ax, ay), (bx, by) = portal.line_m
    dx, dy = bx - ax, by - ay
    length = math.sqrt(dx * dx + dy * dy)
    away = (dx * (y - ay) - dy * (x - ax)) / length
    along = ((x - ax) * dx + (y - ay) * dy) / (length * length)
    return away, along, length


def crossings(track: Track, portals: tuple[Portal, ...], side_at_least_m: float) -> list[Crossing]:
    """What the track's newest point crossed; its ``sides`` are other ones after it."""
    point, sides = track.trail[-1], dict(track.sides)
    reach = _SETTLED_M + math.sqrt(track.motion.speed2)
    found: list[Crossing] = []
    for portal in portals:
        away, along, _ = side_m(portal, point.x, point.y)
        if abs(away) > reach or not -1.0 <= along <= 2.0:
            sides.pop(portal.id, None)
            continue
        if abs(away) < side_at_least_m:
            continue
        side = 1 if away > 0 else -1
        before = sides.get(portal.id)
        if before == -side and _is_against(portal, side) and abs(away) < _AGAINST_M:
            continue
        sides[portal.id] = side
        if before is not None and before != side and (crossing := _on_trail(track.trail, portal, side)) is not None:
            found.append(crossing)
    track.sides = sides
    return sorted(found, key=lambda one: (one.at, one.portal.id))


def crossings_before(track: Track, portals: tuple[Portal, ...], side_at_least_m: float) -> list[Crossing]:
    """What the whole trail of a track crossed that has just become a vehicle; sets its sides.

    A track so young may jump, so that nothing is crossed against a portal's direction.
    """
    trail, found = track.trail, list[Crossing]()
    for n in range(1, len(trail) + 1):
        track.trail = trail[:n]
        found += crossings(track, portals, side_at_least_m)
    track.trail = trail
    return [one for one in found if not _is_against(one.portal, 1 if one.direction == "in" else -1)]


def extrapolated(track: Track, portals: tuple[Portal, ...], *, within_us: Micros, is_backwards: bool) -> Crossing | None:
    """The boundary that a track must have crossed just before it was first seen, or will just after it was last seen.

    Straight on, at its speed, within ``within_us``; only inwards for the past and outwards for the future.
    """
    point = track.trail[0] if is_backwards else track.trail[-1]
    vx, vy = (-track.motion.vx, -track.motion.vy) if is_backwards else (track.motion.vx, track.motion.vy)
    best: Crossing | None = None
    for portal in portals:
        away, along, _ = side_m(portal, point.x, point.y)
        then, along_then, _ = side_m(portal, point.x + vx, point.y + vy)
        if portal.role != "boundary" or away < 0 or then >= away or _is_against(portal, 1 if is_backwards else -1):
            continue  # it stays on the inside
        seconds = away / (away - then)
        place = along + (along_then - along) * seconds
        if seconds * SECOND > within_us or not -_BESIDE <= place <= 1 + _BESIDE:
            continue
        shift = round(seconds * SECOND)
        at = point.at - shift if is_backwards else point.at + shift
        where = (point.x + vx * seconds, point.y + vy * seconds)
        crossing = Crossing(portal, "in" if is_backwards else "out", at, where, True)
        if best is None or abs(crossing.at - point.at) < abs(best.at - point.at):
            best = crossing
    return best


def _is_against(portal: Portal, side: int) -> bool:
    """Whether nobody may come to this side there."""
    return portal.direction == ("out" if side > 0 else "in")


def _on_trail(trail: tuple[TrailPoint, ...], portal: Portal, side: int) -> Crossing | None:
    """Where the trail last came over the line to this side, if that was between the portal's ends."""
    after = trail[-1]
    away_after, along_after, _ = side_m(portal, after.x, after.y)
    for before in reversed(trail[:-1]):
        away, along, _ = side_m(portal, before.x, before.y)
        if (1 if away > 0 else -1) != side:
            share = away / (away - away_after) if away != away_after else 0.0
            place = along + (along_after - along) * share
            if not -_BESIDE <= place <= 1 + _BESIDE:
                return None
            at = before.at + round((after.at - before.at) * share)
            where = (before.x + (after.x - before.x) * share, before.y + (after.y - before.y) * share)
            return Crossing(portal, "in" if side > 0 else "out", at, where)
        after, away_after, along_after = before, away, along
    return None
