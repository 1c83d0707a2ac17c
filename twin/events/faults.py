"""What is wrong with a value from outside, in words that name the field and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def told(wrong: msgspec.ValidationError, kind: Any) -> str:
    """The message of a value that does not fit a type, its field first; what is none of some words is told with these."""
    message = str(wrong)
    found = _PLACE.search(message)
    if found is None:
        return message
    path = found["path"].removeprefix(".")
    words = sorted(set(_words(inspect.type_info(kind), re.findall(r"\w+|\[[^]]*\]", path))))
    what = message[: found.start()]
    is_of_words = words and what.startswith(("Invalid enum value", "Expected `str`"))
    return f"'{path}': {what}" + (f"; use one of {', '.join(words)}" if is_of_words else "")


def _words(kind: inspect.Type, path: list[str]) -> Iterator[str]:
    """The words that a type takes at a path."""
    match kind:
        case inspect.Metadata():
            yield from _words(kind.type, path)
        case inspect.UnionType():
            for one in kind.types:
                yield from _words(one, path)
        case inspect.LiteralType() if not path:
            yield from (str(one) for one in kind.values)
        case inspect.StructType() if path:
            for field in kind.fields:
                if field.encode_name == path[0]:
                    yield from _words(field.type, path[1:])
        case inspect.VarTupleType() | inspect.ListType() if path:
            yield from _words(kind.item_type, path[1:])
        case inspect.DictType() if path:
            yield from _words(kind.value_type, path[1:])
        case _:
            pass
