import hashlib

from twin.api import ApiLimits

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 20
ID = hashlib.sha256(JPEG).hexdigest()
URL = f"/v1/sites/lot/crops/{ID}"


async def test_a_crop_comes_back_as_it_was_given(serve):
    async with serve() as running:
        for _ in range(2):
            assert (await running.http.put(URL, params={"tracklet": "t1"}, content=JPEG)).json() == {"crop": ID}
        answer = await running.http.get(URL)
        assert (answer.content, answer.headers["content-type"]) == (JPEG, "image/jpeg")
        assert answer.headers["cache-control"] == "no-store"


async def test_an_erased_crop_is_gone(serve):
    async with serve() as running:
        await running.http.put(URL, params={"tracklet": "t1"}, content=JPEG)
        await running.keys.destroy("lot", "t1")
        assert (await running.http.get(URL)).status_code == 410


async def test_crops_that_are_not_what_they_say_are_refused(serve):
    async with serve(limits=ApiLimits(crop_bytes=1_000)) as running:
        for path, params, body, status in (
            (URL, {}, JPEG, 422),
            (URL, {"tracklet": "t1"}, b"", 422),
            (URL, {"tracklet": "t1"}, b"GIF89a", 422),
            (URL, {"tracklet": "t1"}, JPEG + b"more", 409),
            (URL, {"tracklet": "t1"}, JPEG * 100, 413),
            ("/v1/sites/lot/crops/..%2f..%2fetc", {"tracklet": "t1"}, JPEG, 404),
            (f"/v1/sites/elsewhere/crops/{ID}", {"tracklet": "t1"}, JPEG, 404),
        ):
            answer = await running.http.put(path, params=params, content=body)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert (await running.http.get(URL)).status_code == 404
