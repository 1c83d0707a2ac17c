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
    schema={"type": "string", "format": "date-time"},
)
KNOWN_AT = Parameter(
    name="known_at",
    about="Knowledge: as known at this fact position (digits), or at this time. Absent: now.",
    schema={"type": "string", "examples": ["812", "2026-01-01T09:00:00Z"]},
)
MOMENT = (AT, KNOWN_AT)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes:
        scope: what a key must have been given; None where anybody may ask.
        answer: a msgspec type for a JSON answer, a media type for any other, None where there is none.
        status: of the answer.
        takes: media types of the request's body, with their JSON Schema.
        body: a msgspec type for a body in JSON.
        refusals: statuses of the problems it can answer with.
        audit: as what an answer is recorded, with who asked; None: it is not.
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
