"""A whole JPEG picture is told from a piece of one, whatever wrote it."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from twin.api.jpeg import _FILL, size_of
from twin.errors import ImageRejected

NOISE = np.random.default_rng(3).integers(0, 256, (45, 80, 3), np.uint8)


def pillow(**how) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG", **how)
    return file.getvalue()


def opencv(*how: int) -> bytes:
    return cv2.imencode(".jpg", NOISE, list(how))[1].tobytes()


WRITTEN = {
    "opencv": opencv(),
    "opencv progressive": opencv(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "opencv with restarts": opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "pillow": pillow(),
    "pillow progressive": pillow(progressive=True),
    "pillow with a comment and a profile": pillow(comment=b"\xff\xd9 no end", icc_profile=b"\xff\xda" * 200),
}


@pytest.mark.parametrize("jpeg", WRITTEN.values(), ids=WRITTEN)
def test_a_written_picture_has_its_size(jpeg):
    assert size_of(jpeg) == (80, 45)
    assert size_of(jpeg + b"a camera's own bytes") == (80, 45)


@pytest.mark.parametrize("jpeg", WRITTEN.values(), ids=WRITTEN)
def test_no_piece_from_the_beginning_is_a_picture(jpeg):
    for length in range(len(jpeg)):
        with pytest.raises(ImageRejected):
            size_of(jpeg[:length])


@pytest.mark.parametrize(
    ("jpeg", "words"),
    [
        (b"", "0 bytes are not a JPEG"),
        (b"\xff\xd8\xff\xe0", "4 bytes is cut off: it does not come to its size"),
        (b"\xff\xd8\xff\xd9", "4 bytes is cut off"),
        (b"\xff\xd8" + b"\xff" * 1_000, "cut off"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 100, "cut off"),
        (b"\xff\xd8\xff\xe0\x00\x04abcdef", "damaged at byte 8"),
        (WRITTEN["opencv"].replace(b"\x00\x2d\x00\x50", b"\x00\x00\x00\x50", 1), "of 80x0 pixels"),
    ],
)
def test_what_is_wrong_is_told(jpeg, words):
    with pytest.raises(ImageRejected, match=words):
        size_of(jpeg)


def test_any_bytes_are_a_picture_or_refused():
    rng = np.random.default_rng(11)
    for _ in range(2_000):
        damaged = bytearray(WRITTEN["opencv progressive"])
        for at in rng.integers(2, len(damaged), 3):
            damaged[at] = rng.integers(0, 256)
        try:
            width, height = size_of(bytes(damaged))
        except ImageRejected:
            continue
        assert min(width, height) > 0


@pytest.mark.parametrize(
    "filling", [b"\xff", b"\xff\xd0", b"\xff\x01", b"\xff\xfe\x00\x02"], ids=["fill", "restarts", "bare", "empty comments"]
)
def test_bytes_that_lead_nowhere_are_few_looks(filling, monkeypatch):
    """Two megabytes of them held everybody else up for half a second."""
    looks = 0

    class Counted:
        def match(self, jpeg, at):
            nonlocal looks
            looks += 1
            return _FILL.match(jpeg, at)

    monkeypatch.setattr("twin.api.jpeg._FILL", Counted())
    with pytest.raises(ImageRejected, match="cut off"):
        size_of(b"\xff\xd8" + filling * (2_000_000 // len(filling)))
    assert looks <= 2_000
    assert size_of(b"\xff\xd8\xff\xff\xff" + WRITTEN["pillow"][3:]) == (80, 45)
