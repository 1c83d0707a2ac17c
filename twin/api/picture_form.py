"""A picture and its boxes as the two parts of one form, so that neither can be taken for another frame's."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from twin.api.bodies import read_json
from twin.errors import BadInput, Contradiction
from twin.events.pictures import PictureBoxes

FORM = "multipart/form-data"
BOXES_BYTES = 500_000
_PARTS = ("boxes", "picture")
_SEE = "ops/docs/pages.md"


class _InMemory(MultiPartParser):
    spool_max_size = 2**31  # a picture shows people: no part of it may be written to disk


async def read_form(body: bytes, content_type: str) -> tuple[bytes, PictureBoxes]:
    """The picture's bytes and the boxes of a form's body.

    Raises:
        BadInput: it is no form with the parts ``picture`` and ``boxes``, or the boxes cannot be read.
        Contradiction: a box has no area.
    """
    parser = _InMemory(
        Headers({"content-type": content_type}), _once(body), max_files=2, max_fields=2, max_part_size=BOXES_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, AssertionError, UnicodeDecodeError) as wrong:
        raise BadInput(f"the form cannot be read: {wrong}; send the parts 'picture' and 'boxes', see {_SEE}") from None
    try:
        names = sorted(name for name, _ in form.multi_items())
        if tuple(names) != _PARTS:
            raise BadInput(f"the form has the parts {names}; send 'picture' and 'boxes', each once")
        if isinstance(form["picture"], str):
            raise BadInput("the part 'picture' is a field of text; send it as a file, with a filename")
        picture, boxes = await _bytes(form["picture"]), await _bytes(form["boxes"])
    finally:
        await form.close()
    given = read_json(boxes, PictureBoxes, what="the part 'boxes'", see=_SEE)
    for one in given.boxes:
        x1, y1, x2, y2 = one.box_px
        if not (x1 < x2 and y1 < y2):
            raise Contradiction(f"box {list(one.box_px)} of '{one.tracklet}' has no area; give left, top, right, bottom")
    return picture, given


async def _bytes(part: UploadFile | str) -> bytes:
    return part.encode() if isinstance(part, str) else await part.read()


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
