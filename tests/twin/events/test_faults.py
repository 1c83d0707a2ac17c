"""What is said of a value that does not fit: its field, and the words that it takes."""

from typing import Literal

import msgspec
import pytest
from msgspec import Struct

from twin.events.faults import told


class _Inner(Struct):
    colour: Literal["red", "green"]
    at: int = 0


class _Outer(Struct):
    parts: list[_Inner]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"parts":[{"colour":"blue"}]}', "'parts[0].colour': Invalid enum value 'blue'; use one of green, red"),
        (b'{"parts":[{"colour":null}]}', "'parts[0].colour': Expected `str`, got `null`; use one of green, red"),
        (b'{"parts":[{"colour":"red","at":"x"}]}', "'parts[0].at': Expected `int`, got `str`"),
        (b'{"parts":[{}]}', "'parts[0]': Object missing required field `colour`"),
    ],
)
def test_the_field_comes_first_and_words_are_named(body, said):
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(body, type=_Outer)
    assert told(raised.value, _Outer) == said
