"""Pictures in a request's body, read no further than pictures may be long."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from retrieval.images import MOST_BYTES
from twin.errors import Contradiction, ImageRejected, TooLarge

MOST_PICTURES = 8
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM")  # of JPEG, PNG, WEBP and BMP
ENVELOPE_BYTES = 100_000
"""What multipart may add around the pictures."""


async def sent_pictures(request: Request) -> list[bytes]:
    """The encoded pictures of a request: its body, or the parts ``image`` of a form.

    Raises:
        ImageRejected: a form that cannot be read, without pictures, or with too many.
        Contradiction: a part that says it is a picture, and is none.
        TooLarge: more bytes than a picture may have in all.
    """
    body = await _body(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        return [body]
    if len(body) == 0:
        raise ImageRejected("the form has 0 bytes; send a JPEG, PNG, WEBP or BMP picture as its part 'image'")
    try:
        async with Request(request.scope, _once(body)).form(max_files=MOST_PICTURES, max_fields=4) as form:
            images = [one for one in form.getlist("image") if isinstance(one, UploadFile)]
            if not images:
                raise ImageRejected(f"the form has no file 'image', only {sorted(form)}; send the picture as that part")
            if others := sorted(set(form) - {"image"}):
                raise ImageRejected(f"the form has a part '{others[0][:40]}'; send pictures alone, each as a part 'image'")
            return [_as_labelled(await one.read(), one.content_type or "") for one in images]
    except HTTPException as wrong:
        raise ImageRejected(
            f"the form cannot be read: {wrong.detail}; send up to {MOST_PICTURES} pictures, each as a part 'image'"
        ) from None


def _as_labelled(picture: bytes, media_type: str) -> bytes:
    """A part's bytes; raises Contradiction where it says that it is a picture, and is none of those that are read here."""
    if media_type.startswith("image/") and not picture.startswith(_BEGINNINGS):
        raise Contradiction(
            f"a part 'image' says that it is {media_type[:40]}, and its {len(picture)} bytes are no JPEG, PNG, WEBP or BMP"
            " picture; send one that is"
        )
    return picture


async def _body(request: Request) -> bytes:
    most = MOST_BYTES + ENVELOPE_BYTES
    chunks: list[bytes] = []
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > most:
            raise TooLarge(f"the body has more than {most} bytes; pictures may have {MOST_BYTES} in all: send smaller ones")
        chunks.append(chunk)
    return b"".join(chunks)


def _once(body: bytes) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
