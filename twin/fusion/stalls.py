"""What each stall holds. A parked vehicle makes it occupied; leaving, or a clear look at nothing, makes it free."""

from __future__ import annotations

from collections.abc import Mapping

from twin.events.facts import StallChanged
from twin.events.ids import Micros, StallId, VehicleId
from twin.fusion.columns import TrackColumns
from twin.fusion.emission import Emission
from twin.fusion.frame import Seen
from twin.fusion.scene import Scene
from twin.fusion.sight import Cover, bare
from twin.fusion.state import StallBelief

_LOOKS = 20  # clear looks at an empty place before an unknown stall is free: parked vehicles are confirmed by then
_UNKNOWN = StallBelief("unknown")


def occupy(stalls: dict[StallId, StallBelief], parked: dict[StallId, VehicleId], at: Micros, emission: Emission) -> None:
    """Bring stalls in line with who is parked in them; a stall holds one vehicle, the first that parked."""
    left = [stall for stall, belief in stalls.items() if belief.state == "occupied" and stall not in parked]
    for stall in sorted(left):
        stalls[stall] = StallBelief("free")
        emission.emit(at, StallChanged(stall=stall, state="free"))
    taken = [(stall, vehicle) for stall, vehicle in parked.items() if stalls.get(stall, _UNKNOWN).vehicle != vehicle]
    for stall, vehicle in sorted(taken):
        stalls[stall] = StallBelief("occupied", vehicle)
        emission.emit(at, StallChanged(stall=stall, state="occupied", vehicle=vehicle))


def known(stalls: Mapping[StallId, StallBelief]) -> set[StallId]:
    """Those whose state is known, for ``look``."""
    return {stall for stall, belief in stalls.items() if belief.state != "unknown"}


def look(
    seen: Seen,
    columns: TrackColumns,
    stalls: dict[StallId, StallBelief],
    known: set[StallId],
    cover: Cover,
    scene: Scene,
    emission: Emission,
) -> None:
    """Count clear looks at unknown stalls in which nothing is tracked; one that is free is then among the ``known``.

    Args:
        cover: all boxes of the frame.
    """
    shown = scene.stalls_shown(seen.camera, seen.level, seen.pending.frame.frame_px)
    if known.issuperset(shown):
        return
    unknown = [one for one in shown.values() if one[0].id not in known]
    clear = bare([pixel for _, pixel in unknown], cover)
    empty = [place for (place, _), is_clear in zip(unknown, clear, strict=True) if is_clear]
    if not empty:
        return
    left, right = min(place.box_m[0] for place in empty), max(place.box_m[2] for place in empty)
    low, high = min(place.box_m[1] for place in empty), max(place.box_m[3] for place in empty)
    near = columns.between(seen.level, left, low, right, high)
    taken = {scene.map.stall_at(seen.level, track.motion.x, track.motion.y) for track in near}
    for place in empty:
        if place.id in taken:
            continue
        n_empty = stalls.get(place.id, _UNKNOWN).n_empty + 1
        stalls[place.id] = StallBelief("unknown", None, n_empty)
        if n_empty >= _LOOKS:
            stalls[place.id] = StallBelief("free")
            known.add(place.id)
            emission.emit(seen.at, StallChanged(stall=place.id, state="free"))
