"""When a vehicle's middle crosses a boundary portal."""

from __future__ import annotations

from perception.synthetic.sumo.presence import Pose
from site_models.schema import LevelId, Site

_Point = tuple[float, float]

_REACH = 0.25  # a portal's line goes on by this share at its ends: drivers do not keep to the map


class Boundary:
    """A site's boundary portals."""

    def __init__(self, site: Site) -> None:
        portals = [portal for portal in site.portals if portal.role == "boundary"]
        self._lines: list[tuple[LevelId, _Point, _Point]] = []
        for portal in portals:
            (x, y), (to_x, to_y) = portal.line_m
            over_x, over_y = (to_x - x) * _REACH, (to_y - y) * _REACH
            self._lines.append((portal.level, (x - over_x, y - over_y), (to_x + over_x, to_y + over_y)))

    def crossed(self, level: LevelId, before: Pose, now: Pose) -> tuple[float, bool] | None:
        """The share of the way from one pose to the next at which a portal is crossed, and whether inwards."""
        for portal_level, start, end in self._lines:
            share = _met(before, now, start, end) if portal_level == level else None
            if share is not None:
                step_x, step_y = now.x_m - before.x_m, now.y_m - before.y_m
                return share, step_x * (end[1] - start[1]) - step_y * (end[0] - start[0]) < 0
        return None


def _met(before: Pose, now: Pose, start: _Point, end: _Point) -> float | None:
    """The share of the way from one pose to the next at which a segment is met; its end belongs to the next way."""
    step_x, step_y = now.x_m - before.x_m, now.y_m - before.y_m
    line_x, line_y = end[0] - start[0], end[1] - start[1]
    turn = step_x * line_y - step_y * line_x
    if turn == 0.0:
        return None
    to_x, to_y = start[0] - before.x_m, start[1] - before.y_m
    along, across = (to_x * line_y - to_y * line_x) / turn, (to_x * step_y - to_y * step_x) / turn
    return along if 0.0 <= along < 1.0 and 0.0 <= across <= 1.0 else None
