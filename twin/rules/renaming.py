"""Crossings that are told again, otherwise: what people decided and paid under the former name goes along.

A stay is named by its entry, and an entry by its vehicle, place and time. Late data may move it by a moment, or give its
vehicle another name; then another stay stands for it, and the former one is void.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from twin.events.ids import SECOND, Micros, SessionId, VehicleId
from twin.rules.passages import Passage
from twin.rules.sessions_state import SessionsState

SAME: Micros = 3 * SECOND
"""A crossing stands for one that was taken back if it is of the same portal and direction, and not farther off than this."""


class Crossed(Struct, frozen=True, array_like=True):
    """A vehicle's crossing, under the name that it had."""

    vehicle: VehicleId
    passage: Passage


class Retold:
    """What one observation, the ``cause``, takes back of crossings, and what it tells of them, in any order."""

    def __init__(self, cause: int) -> None:
        self.cause = cause
        self._gone: list[Crossed] = []
        self._told: list[Crossed] = []

    def take_back(self, state: SessionsState, gone: Crossed) -> tuple[SessionsState, set[VehicleId]]:
        """A crossing is taken back; gives whose stays have its names now."""
        heir = _nearest(gone, self._told)
        if heir is None:
            self._gone.append(gone)
            return state, set()
        self._told.remove(heir)
        return _inherited(state, heir, gone.passage), {state.root(heir.vehicle)}

    def tell(self, state: SessionsState, told: Crossed, superseded: list[Crossed]) -> SessionsState:
        """A crossing is told, which is in the state already: it stands for one that it supersedes, else for one that was taken
        back before. What it stands for is in its list no more."""
        for gone in (superseded, self._gone):
            if (one := _nearest(told, gone)) is not None:
                gone.remove(one)
                return _inherited(state, told, one.passage)
        self._told.append(told)
        return state


def reclaimed(state: SessionsState, told: Crossed) -> tuple[SessionsState, set[VehicleId]]:
    """A name is of the stay that is called so: whoever inherited it gives it back; gives whose stays have lost it."""
    name, passages = told.passage.session, dict(state.passages)
    if name not in state.stays:
        return state, set()
    heirs = [vehicle for vehicle, had in passages.items() if any(name in one.were for one in had)]
    for vehicle in heirs:
        passages[vehicle] = tuple(_without(one, name) for one in passages[vehicle])
    return replace(state, passages=passages) if heirs else state, {state.root(vehicle) for vehicle in heirs}


def _without(passage: Passage, name: SessionId) -> Passage:
    left = tuple(one for one in passage.were if one != name)
    return passage if left == passage.were else replace(passage, were=left)


def _nearest(one: Crossed, others: list[Crossed]) -> Crossed | None:
    """The one that stands for it: of the same vehicle if there is any, then the nearest in time."""
    near = [other for other in others if _is_same(one.passage, other.passage)]
    return min(near, key=lambda other: (other.vehicle != one.vehicle, abs(other.passage.at - one.passage.at)), default=None)


def _is_same(one: Passage, other: Passage) -> bool:
    return (one.portal, one.direction) == (other.portal, other.direction) and abs(one.at - other.at) <= SAME


def _inherited(state: SessionsState, heir: Crossed, gone: Passage) -> SessionsState:
    """The heir goes by the former names too, and is denied where a person denied the former."""
    had = state.passages.get(heir.vehicle, ())
    names = [name for name in dict.fromkeys((*heir.passage.were, *gone.names)) if name != heir.passage.session]
    passages = tuple(replace(one, were=tuple(names)) if one.fact == heir.passage.fact else one for one in had)
    denied = [name for name, pin in state.pins.items() if gone.fact in pin.denied and heir.passage.fact not in pin.denied]
    pins = {name: replace(state.pins[name], denied=(*state.pins[name].denied, heir.passage.fact)) for name in denied}
    return replace(state, passages={**state.passages, heir.vehicle: passages}, pins={**state.pins, **pins})
