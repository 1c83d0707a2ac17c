"""Whether bytes are a whole JPEG picture, told by its markers: nothing is decoded."""

from __future__ import annotations

import re

from twin.errors import ImageRejected

_START, _SCAN, _END = b"\xff\xd8", 0xDA, b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_FRAME_BYTES = 8  # length, precision, height, width, components
_MOST_MARKERS = 2_000  # before the picture; those who write pictures have a few, who would keep us busy has a million
_FILL = re.compile(b"\xff+")


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        ImageRejected: it does not begin as a JPEG, has no frame or no scan, or ends before the picture does.

    Source: ITU-T T.81 (1992), annex B.
    """
    if not jpeg.startswith(_START):
        raise ImageRejected(f"{len(jpeg)} bytes are not a JPEG picture; encode it as JPEG")
    size, at = None, len(_START)
    for _ in range(_MOST_MARKERS):
        if at + 4 > len(jpeg):
            break
        if jpeg[at] != 0xFF:
            raise ImageRejected(
                f"the JPEG picture of {len(jpeg)} bytes is damaged at byte {at}: no marker is there; send it anew"
            )
        fill = _FILL.match(jpeg, at)
        assert fill is not None
        at = fill.end() + 1
        if at + 2 > len(jpeg):
            break
        marker = jpeg[at - 1]
        if marker in _BARE:
            continue
        length = int.from_bytes(jpeg[at : at + 2])
        if marker in _FRAMES and length >= _FRAME_BYTES and at + length <= len(jpeg):
            size = int.from_bytes(jpeg[at + 5 : at + 7]), int.from_bytes(jpeg[at + 3 : at + 5])
        elif marker == _SCAN and size and jpeg.find(_END, at + length) > at + length:
            return _checked(size)
        elif marker == _SCAN or length < 2:
            break
        at += length
    raise ImageRejected(f"the JPEG picture of {len(jpeg)} bytes is cut off: {_missing(size)}; send all of it")


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if 0 in size:
        raise ImageRejected(f"the JPEG picture is said to be of {size[0]}x{size[1]} pixels; send one that shows something")
    return size


def _missing(size: tuple[int, int] | None) -> str:
    return "it does not come to its size" if size is None else f"it does not come to the end of its {size[0]}x{size[1]} pixels"
