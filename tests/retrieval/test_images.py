from __future__ import annotations

import asyncio
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from retrieval.images import MOST_BYTES, ImageDecoder
from twin.errors import ImageRejected, Overloaded


@pytest.fixture
async def decoder():
    opened = ImageDecoder()
    yield opened
    await opened.aclose()


def encoded(pixels, kind="PNG", **given):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **given)
    return file.getvalue()


def png_of_claimed_size(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
async def test_pictures_become_blue_green_red_pixels(decoder, kind):
    image = await decoder.decode(encoded(RED, kind))
    assert image.shape == (20, 30, 3)
    np.testing.assert_allclose(image[10, 10], [0, 0, 255], atol=4)


async def test_large_pictures_are_scaled_down_in_their_proportions(decoder):
    image = await decoder.decode(encoded(np.zeros((1500, 3000, 3), np.uint8)))
    assert image.shape == (512, 1024, 3)


async def test_a_picture_taken_sideways_is_turned_upright(decoder):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = await decoder.decode(encoded(RED, "JPEG", exif=exif))
    assert image.shape == (30, 20, 3)


async def test_what_is_no_picture_is_refused_and_the_next_is_decoded(decoder):
    for body in (b"", b"garbage", encoded(RED)[:60], b"<svg xmlns='x'/>", encoded(RED, "GIF")):
        with pytest.raises(ImageRejected):
            await decoder.decode(body)
    assert (await decoder.decode(encoded(RED))).shape == (20, 30, 3)


def png_that_unpacks_to(n_bytes, width, height):
    """A few kilobytes whose pixels claim to be gigabytes: zeros pack a thousandfold."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    packer, packed = zlib.compressobj(9), b""
    for _ in range(n_bytes // 2**20):
        packed += packer.compress(bytes(2**20))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")


async def test_bombs_cost_no_more_than_their_header_allows(decoder):
    within = png_that_unpacks_to(256 * 2**20, 20, 20)  # far more rows than the header tells of
    assert len(within) < 1_000_000
    try:
        image = await decoder.decode(within)
    except ImageRejected:
        pass
    else:
        assert image.shape == (20, 20, 3)
    text = struct.pack(">I", 0) + b"zTXt"  # a comment that never ends is not read as one
    with pytest.raises(ImageRejected):
        await decoder.decode(b"\x89PNG\r\n\x1a\n" + text)
    assert (await decoder.decode(encoded(RED))).shape == (20, 30, 3)


@pytest.mark.parametrize(
    "other",
    [b"<script>alert(1)</script>", b"PK\x03\x04" + bytes(200), b"%PDF-1.7\n", b"#!/bin/sh\nid\n", b"GIF89a" + bytes(100)],
)
async def test_of_a_file_that_is_two_things_only_the_picture_is_read(decoder, other):
    np.testing.assert_array_equal(await decoder.decode(encoded(RED) + other), await decoder.decode(encoded(RED)))
    with pytest.raises(ImageRejected):
        await decoder.decode(other + encoded(RED))


async def test_too_many_pixels_are_refused_by_the_header(decoder):
    with pytest.raises(ImageRejected, match="20000 x 10000 pixels; the limit is 50 megapixels"):
        await decoder.decode(png_of_claimed_size(20_000, 10_000))


async def test_too_many_bytes_are_refused(decoder):
    with pytest.raises(ImageRejected, match=f"has {MOST_BYTES + 1} bytes"):
        await decoder.decode(bytes(MOST_BYTES + 1))


async def test_a_decoder_that_hangs_is_killed(tmp_path):
    program = tmp_path / "hangs.py"
    program.write_text("import time\ntime.sleep(600)\n")
    decoder = ImageDecoder(timeout_s=0.3, program=program)
    with pytest.raises(ImageRejected, match=r"longer than 0\.3 s"):
        await decoder.decode(encoded(RED))
    await decoder.aclose()


async def test_a_decoder_that_dies_is_started_again(tmp_path):
    program = tmp_path / "dies.py"
    program.write_text("import sys\nsys.stdin.buffer.read(8)\n")
    decoder = ImageDecoder(program=program)
    for _ in range(2):
        with pytest.raises(ImageRejected, match="broke off"):
            await decoder.decode(encoded(RED))
    await decoder.aclose()


async def test_a_cancelled_request_leaves_nothing_for_the_next(decoder):
    asking = asyncio.create_task(decoder.decode(encoded(RED)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (await decoder.decode(encoded(RED[:5]))).shape == (5, 30, 3)


async def test_more_pictures_than_may_wait_are_turned_away(decoder):
    asked = [decoder.decode(encoded(RED)) for _ in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Overloaded) for one in answers) == 4
    assert sum(isinstance(one, np.ndarray) for one in answers) == 16
