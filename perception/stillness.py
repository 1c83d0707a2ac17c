"""Which boxes need not be sent again: those that stay where their last full box was."""

from __future__ import annotations

from dataclasses import dataclass

from twin.events.ids import SECOND, Micros, TrackletId

Box = tuple[float, float, float, float]

FULL_BOX_EVERY: Micros = 5 * SECOND
_STILL_FOR: Micros = 1 * SECOND
_FORGOTTEN_AFTER: Micros = 60 * SECOND
_LEAST_TOLERANCE_PX = 2.0


@dataclass(slots=True)
class _Sent:
    box_px: Box
    sent_at: Micros
    moved_at: Micros
    seen_at: Micros


class Stillness:
    """Tells still boxes from moving ones, per tracklet of one camera.

    A box is unchanged when for one second every edge stayed within one sigma (at least 2 px) of the last full box;
    a full box follows at the latest after five seconds. Slow motion is therefore sent in full: it leaves the
    tolerance within the second.
    """

    def __init__(self) -> None:
        self._sent: dict[TrackletId, _Sent] = {}

    def is_unchanged(self, tracklet: TrackletId, at: Micros, box_px: Box, sigma_px: tuple[float, float]) -> bool:
        """Whether this box may be left out; if not, it counts as sent."""
        last = self._sent.get(tracklet)
        if last is None:
            self._sent[tracklet] = _Sent(box_px, at, at, at)
            return False
        last.seen_at = at
        if _has_moved(last.box_px, box_px, sigma_px):
            last.box_px, last.sent_at, last.moved_at = box_px, at, at
            return False
        if at - last.moved_at < _STILL_FOR:
            # the tolerance stays anchored at the box that moved last: creeping must add up
            last.sent_at = at
            return False
        if at - last.sent_at >= FULL_BOX_EVERY:
            last.box_px, last.sent_at = box_px, at
            return False
        return True

    def is_moving(self, tracklet: TrackletId, at: Micros) -> bool:
        """Whether it left its place within the last second."""
        last = self._sent.get(tracklet)
        return last is not None and at - last.moved_at < _STILL_FOR

    def forget(self, at: Micros) -> None:
        """Drop tracklets that were not seen for a minute."""
        gone = [tracklet for tracklet, last in self._sent.items() if at - last.seen_at > _FORGOTTEN_AFTER]
        for tracklet in gone:
            del self._sent[tracklet]


def _has_moved(before: Box, now: Box, sigma_px: tuple[float, float]) -> bool:
    limits = [max(sigma, _LEAST_TOLERANCE_PX) for sigma in sigma_px] * 2
    return any(abs(a - b) > limit for a, b, limit in zip(before, now, limits, strict=True))
