"""A program that decodes pictures from outside: run as a child that its parent may kill, never imported for its work.

A damaged or hostile picture can take what memory and time it likes only here. It reads requests on standard input, each
eight bytes of length and the picture, and answers each with one line of JSON, and after {"width", "height"} the pixels.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MOST_PIXELS = 50_000_000
SIDE_PX = 1_024
"""Larger pictures are scaled down to this: no embedder looks at more."""

MEMORY_BYTES = 3 * 2**30


class Refused(Exception):
    """The picture cannot be used; the message says why."""


def decoded(encoded: bytes) -> tuple[int, int, bytes]:
    """Width, height and (H, W, 3) BGR bytes of a picture, upright, no side longer than ``SIDE_PX``.

    Raises:
        Refused: not a picture of these formats, damaged, or too many pixels by its header.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise Refused(f"it has {width} x {height} pixels; the limit is {MOST_PIXELS // 1_000_000} megapixels")
            image.draft("RGB", (SIDE_PX, SIDE_PX))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
            red, green, blue = upright.split()
            return *upright.size, Image.merge("RGB", (blue, green, red)).tobytes()
    except Refused:
        raise
    except MemoryError:
        raise Refused("decoding it takes too much memory") from None
    except Exception as wrong:  # decoders of damaged files raise nearly anything
        said = "" if isinstance(wrong, UnidentifiedImageError) else f" ({str(wrong)[:120]})"
        raise Refused(f"it is no readable {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture{said}") from None


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until standard input ends."""
    while len(head := requests.read(8)) == 8:
        encoded = requests.read(struct.unpack("<Q", head)[0])
        try:
            width, height, pixels = decoded(encoded)
        except Refused as why:
            answers.write(json.dumps({"refused": str(why)}).encode() + b"\n")
        else:
            answers.write(json.dumps({"width": width, "height": height}).encode() + b"\n" + pixels)
        answers.flush()


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None  # the header is looked at here, with a message that has the numbers
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    serve(sys.stdin.buffer, sys.stdout.buffer)
