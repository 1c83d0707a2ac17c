"""What the rules forget: vehicles all of whose stays were over long ago, and all that is known of them."""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.ids import Micros
from twin.rules.sessions_state import SessionsState
from twin.rules.tariff import DAY

CORRECTABLE: Micros = 7 * DAY
"""So long after the last fact about it a closed stay can be amended, by people and by late data."""


def swept(state: SessionsState, at: Micros) -> SessionsState:
    """The state without what was over for ``CORRECTABLE``; looked for once a day. Who is inside is never forgotten."""
    if at - state.swept_at < DAY:
        return state
    state, since = replace(state, swept_at=at), at - CORRECTABLE
    alive = {one.vehicle for one in state.stays.values() if one.status == "open" or one.said_at > since}
    alive |= {state.root(one.vehicle) for one in state.merges if one.at > since}
    names = {name for name in (*state.passages, *state.kept) if state.root(name) in alive}
    stays = {name: one for name, one in state.stays.items() if one.vehicle in alive}
    sessions = {*stays, *(name for one in stays.values() for name in one.sessions)}
    return replace(
        state,
        passages={name: had for name, had in state.passages.items() if name in names},
        kept={name: kept for name, kept in state.kept.items() if name in names},
        merges=tuple(one for one in state.merges if one.merged in names),
        apart={pair: said_at for pair, said_at in state.apart.items() if said_at > since},
        undone={decision: said_at for decision, said_at in state.undone.items() if said_at > since},
        pins={name: pin for name, pin in state.pins.items() if name in sessions},
        stays=stays,
        payments={name: had for name, had in state.payments.items() if name in sessions},
        aside={name: said_at for name, said_at in state.aside.items() if said_at > since},
    )
