"""Bodies in JSON, read as the type that the documentation shows; what is wrong is said with its field and what that takes."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, inspect

from twin.errors import BadInput
from twin.events.codec import time_of
from twin.events.faults import told
from twin.events.wire import TIME

_EXACT = 2**53

StructT = TypeVar("StructT", bound=Struct)

_TIME = {name: value for name, value in TIME.items() if name != "type"}

Time = Annotated[str, Meta(extra_json_schema=_TIME)]
"""RFC 3339 with a UTC offset; ``read_json`` has checked that it is one."""


def read_json(body: bytes, kind: type[StructT], *, what: str, see: str) -> StructT:
    """A body as a type.

    Args:
        what: names the body in messages, such as "the payment".
        see: where it is described.

    Raises:
        BadInput: it is not JSON, or does not fit the type, or a time in it is none.
    """
    try:
        given = msgspec.convert(whole(msgspec.json.decode(body)), kind)
        for name in _times(kind):
            if (text := getattr(given, name)) is not None:
                time_of(name, text)
    except msgspec.ValidationError as wrong:
        raise BadInput(f"{what} cannot be read: {told(wrong, kind)}; see {see}") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as wrong:
        raise BadInput(f"{what} cannot be read: {wrong}; see {see}") from None
    return given


def whole(value: Any) -> Any:
    """JSON in which 3.0 is 3: JSON has one kind of number, and types here have two."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return [whole(one) for one in value] if isinstance(value, list) else value


@cache
def _times(kind: type[Struct]) -> tuple[str, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return tuple(field.name for field in info.fields if _is_time(field.type))


def _is_time(kind: Any) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_is_time(one) for one in kind.types)
    return isinstance(kind, inspect.Metadata) and kind.extra_json_schema == _TIME
