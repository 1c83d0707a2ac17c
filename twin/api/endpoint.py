"""A route together with what the documentation says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.access.audit import Action
from twin.access.keys import Scope as Scope
from twin.events import wire
from twin.events.wire import TIME
from twin.projections.waiting import DEFAULT_WAIT_S, MOST_WAIT_S

LARGEST_COUNT = 2**53 - 1
"""The largest whole number of a query: what every reader of JSON reads exactly."""

Handler = Callable[[Request], Awaitable[Response]]


class Parameter(Struct, frozen=True, kw_only=True):
    """A query parameter; ``schema`` is JSON Schema."""

    name: str
    about: str
    schema: Mapping[str, Any]
    is_required: bool = False


AT = Parameter(
    name="at",
    about="Valid time: what was so at this time. Absent: everything known.",
    schema=TIME,
)
KNOWN_AT = Parameter(
    name="known_at",
    about="Knowledge: as known at this fact position (digits), or at this time. Absent: now.",
    schema=wire.KNOWN_AT,
)
WAIT_FOR = Parameter(
    name="wait_for",
    about="Read your writes: answer once the observation at this position, as its receipt gave it, is folded; "
    "`fact:` before the digits makes it a position of the fact log.",
    schema=wire.WAIT_FOR,
)
WAIT_S = Parameter(
    name="wait_s",
    about=f"How long to wait for `wait_for`, seconds; {DEFAULT_WAIT_S:g} if absent.",
    schema={"type": "number", "minimum": 0, "maximum": MOST_WAIT_S},
)
WAITING = (WAIT_FOR, WAIT_S)
MOMENT = (AT, KNOWN_AT, *WAITING)


def count(name: str, about: str, *, least: int = 0, most: int = LARGEST_COUNT) -> Parameter:
    """A whole number of a query."""
    return Parameter(name=name, about=about, schema={"type": "integer", "minimum": least, "maximum": most})


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes:
        scope: what a key must have been given; None where anybody may ask.
        answer: a msgspec type for a JSON answer, a media type for any other, None where there is none.
        status: of the answer.
        takes: media types of the request's body, with their JSON Schema.
        body: a msgspec type for a body in JSON.
        refusals: statuses of the problems it can answer with, beside those that all have (``twin.api.openapi``).
        audit: as what an answer is recorded, with who asked; None: it is not.
        body_rules: JSON Schema of what its type cannot say, such as that one field needs another.
        may_lack_body: nothing at all is a body too.
        may_be_empty: 204 is an answer too: there is nothing, and that is no error.
        body_example, answer_example: what goes in and comes out, for whoever reads the documentation.
        encoding: media types of a form's parts, as OpenAPI has it.
        parts: types that ``takes`` refers to.
    """

    path: str
    handler: Handler
    scope: Scope | None
    about: str
    answer: Any
    method: str = "GET"
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    takes: Mapping[str, Mapping[str, Any]] | None = None
    body: type[Struct] | None = None
    refusals: tuple[int, ...] = ()
    audit: Action | None = None
    body_rules: Mapping[str, Any] | None = None
    may_lack_body: bool = False
    may_be_empty: bool = False
    body_example: Any = None
    answer_example: Any = None
    encoding: Mapping[str, Mapping[str, Any]] | None = None
    parts: tuple[type[Struct], ...] = ()
