"""The latest picture of each camera, in memory."""

import pytest

URL = "/v1/sites/lot/cameras/left/picture"
AT = {"at": "2026-01-01T12:00:00Z"}
JPEG = b"\xff\xd8\xff\xe0one"


async def test_the_latest_picture_takes_the_place_of_the_one_before(serve):
    async with serve() as running:
        for body in (JPEG, JPEG + b"two"):
            assert (await running.http.put(URL, content=body, params=AT)).status_code == 204
        answer = await running.http.get(URL)
        assert (answer.content, answer.headers["content-type"]) == (JPEG + b"two", "image/jpeg")
        assert (answer.headers["cache-control"], answer.headers["x-taken-at"]) == ("no-store", AT["at"])
        assert (await running.log.heads("lot")).observations == 0


async def test_before_any_was_sent_there_is_none(serve):
    async with serve() as running:
        assert (await running.http.get(URL)).status_code == 204


@pytest.mark.parametrize(
    ("url", "body", "at", "status"),
    [
        (URL, b"GIF89a", AT, 422),
        (URL, JPEG, {}, 422),
        (URL, JPEG, {"at": "noon"}, 422),
        (URL, JPEG + b"0" * 2_000_000, AT, 413),
        (URL.replace("left", "none"), JPEG, AT, 404),
    ],
)
async def test_what_is_no_picture_of_a_camera_here_is_refused(serve, url, body, at, status):
    async with serve() as running:
        assert (await running.http.put(url, content=body, params=at)).status_code == status
        assert (await running.http.get(URL)).status_code == 204
