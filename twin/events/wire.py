"""How values look in JSON, as JSON Schema: what every description of this contract (OpenAPI, AsyncAPI) says of them alike."""

from __future__ import annotations

from typing import Any, Literal

Words = Literal["site", "zone", "stall", "camera", "portal", "currency"]

TIME: dict[str, Any] = {"type": "string", "format": "date-time", "pattern": "^[1-8][0-9]{3}-"}
"""RFC 3339 with a UTC offset; years 1000 to 8999, as ``codec.micros`` reads them."""

POSITION: dict[str, Any] = {"type": "string", "pattern": "^[0-9]{1,18}$"}
"""A position in a log; it travels as digits."""

KNOWN_AT: dict[str, Any] = {"anyOf": [POSITION, TIME], "examples": ["812", "2026-01-01T09:00:00Z"]}
"""A fact position, or a time."""

WAIT_FOR: dict[str, Any] = {
    "type": "string",
    "pattern": "^((observation|fact):)?[0-9]{1,18}$",
    "examples": ["57", "observation:57", "fact:12"],
}
"""A position of either log; without a log's name it is one of the observation log, as receipts give it."""

LARGEST = 2**63 - 1
"""The largest number that names something: a boot epoch, a sequence, a lease."""

LEAST_PACKED, LARGEST_PACKED = -(2**63), 2**64 - 1
"""Whole numbers that a log can pack."""

LETTERS = (
    r"0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0391-\u03a1\u03a3-\u03ce\u0400-\u045f\u05d0-\u05ea\u0620-\u064a"
    r"\u0904-\u0939\u0e01-\u0e2e\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)
"""Digits and the letters of the larger scripts, as of a regular expression's class: what every dialect of those reads alike."""

NAME: dict[str, Any] = {"type": "string", "pattern": rf"^[ -~\u00a1-\u00ac\u00ae-\u00bf{LETTERS}]{{1,200}}$", "maxLength": 200}
"""What is taken from outside as a name: 1 to 200 letters, digits, spaces and marks."""

PLATE: dict[str, Any] = {"type": "string", "pattern": rf"^[{LETTERS} .·-]*[{LETTERS}][{LETTERS} .·-]*$", "maxLength": 20}
"""A number plate as people write it: letters and digits, spaces, dots and hyphens."""

OF_SITE = "x-of-site"


def of_site(words: Words) -> dict[str, Any]:
    """A name that a site's model has; a document of a running service lists the names of the sites that it serves."""
    return {"type": "string", OF_SITE: words}
