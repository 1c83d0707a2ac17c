"""A type's docstring as the descriptions of its JSON Schema: what it says of an attribute is said at the property."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any

_ATTRIBUTE = re.compile(r"^    (\w+(?:, \w+)*): (.*)$")


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """An object's schema with its description in paragraphs, and the ``Attributes:`` of that at the properties."""
    if "description" not in schema or "properties" not in schema:
        return schema
    text, _, listed = cleandoc(schema["description"]).partition("Attributes:\n")
    said = _attributes(listed)
    properties = {name: _said(one, said.get(name)) for name, one in schema["properties"].items()}
    return {**schema, "description": text.strip().replace("``", "`"), "properties": properties}


def _said(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    if words is None or "description" in schema:
        return schema
    return {**schema, "description": words.replace("``", "`")}


def _attributes(listed: str) -> dict[str, str]:
    said: dict[str, str] = {}
    names: list[str] = []
    for line in listed.splitlines():
        if (found := _ATTRIBUTE.match(line)) is not None:
            names = found[1].split(", ")
            said |= dict.fromkeys(names, found[2])
        elif line.strip():
            said |= {name: f"{said[name]} {line.strip()}" for name in names}
    return said
