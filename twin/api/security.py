"""What the documentation says of keys: how they are sent, and which scope a route takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.access.keys import Scope
from twin.access.sessions import COOKIE

SCHEMES: Mapping[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, as `twin key create` prints it."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A browser that has logged in."},
}

REFUSALS = (401, 403, 429, 503)
"""Statuses of what any route that takes a key may answer."""


def security(scope: Scope | None) -> list[dict[str, list[str]]]:
    """Of an operation: a key or a session with this scope, or nothing at all where everybody may ask."""
    return [] if scope is None else [{name: [scope]} for name in SCHEMES]
