"""The crop store: content-addressed, encrypted, within its quota."""

from __future__ import annotations

import hashlib

import pytest

from twin.errors import BadInput, CodecError, Conflict, Gone, NotFound, QuotaExceeded, TooLarge
from twin.log.blobs import BlobStore
from twin.log.keys import MemoryKeyRing


@pytest.fixture
def keys():
    return MemoryKeyRing()


@pytest.fixture
def store(tmp_path, keys):
    return BlobStore(tmp_path / "crops", keys, quota_bytes=3_000, limit_bytes=2_500)


def crop(seed, size=900):
    body = bytes([seed]) * size
    return hashlib.sha256(body).hexdigest(), body


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "crops").rglob("*") if path.is_file())


async def test_a_crop_comes_back_and_its_file_holds_only_ciphertext(store, tmp_path):
    crop_id, body = crop(1)
    await store.put("lot", crop_id, "t1", body)
    await store.put("lot", crop_id, "t1", body)
    assert await store.get("lot", crop_id) == body
    assert files(tmp_path) == [crop_id]
    assert body[:32] not in (tmp_path / "crops" / "lot" / crop_id[:2] / crop_id).read_bytes()


async def test_a_crop_belongs_to_one_site(store):
    crop_id, body = crop(1)
    await store.put("lot", crop_id, "t1", body)
    with pytest.raises(NotFound):
        await store.get("other", crop_id)


async def test_bytes_that_are_not_the_id_are_refused(store, tmp_path):
    with pytest.raises(Conflict, match="but its bytes hash to"):
        await store.put("lot", crop(1)[0], "t1", crop(2)[1])
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, "a" * 63 + "/", "a" * 64 + "\n", ""])
async def test_an_id_that_is_not_64_hex_digits_reaches_no_file(store, name):
    with pytest.raises(BadInput):
        await store.get("lot", name)
    with pytest.raises(BadInput):
        await store.put("lot", name, "t1", b"x")


@pytest.mark.parametrize("site", ["..", ".", "", "a/b", "/", "a\x00"])
async def test_a_site_that_is_no_name_reaches_no_file(store, site):
    with pytest.raises(BadInput):
        await store.get(site, crop(1)[0])


async def test_the_oldest_crops_make_room_site_by_site(store, tmp_path):
    crops = [crop(seed) for seed in range(4)]
    other = crop(9)
    await store.put("other", *[other[0], "t1", other[1]])
    for crop_id, body in crops:
        await store.put("lot", crop_id, "t1", body)
    with pytest.raises(NotFound):
        await store.get("lot", crops[0][0])
    assert [await store.get("lot", crop_id) for crop_id, _ in crops[1:]] == [body for _, body in crops[1:]]
    assert await store.get("other", other[0]) == other[1]
    assert store.used_bytes("lot") <= 3_000
    assert len(files(tmp_path)) == 4


async def test_a_crop_over_the_limit_or_the_quota_evicts_nothing(store, tmp_path, keys):
    small = crop(1)
    await store.put("lot", small[0], "t1", small[1])
    large = crop(2, 2_501)
    with pytest.raises(TooLarge):
        await store.put("lot", large[0], "t1", large[1])
    tight = BlobStore(tmp_path / "crops", keys, quota_bytes=1_000)
    medium = crop(3, 1_000)
    with pytest.raises(QuotaExceeded):
        await tight.put("lot", medium[0], "t1", medium[1])
    assert await tight.get("lot", small[0]) == small[1]


async def test_a_store_opened_again_knows_its_crops_and_removes_broken_writes(store, tmp_path, keys):
    crops = [crop(seed) for seed in range(3)]
    for crop_id, body in crops:
        await store.put("lot", crop_id, "t1", body)
    (tmp_path / "crops" / "lot" / crops[0][0][:2] / "half.tmp").write_bytes(b"half")
    again = BlobStore(tmp_path / "crops", keys, quota_bytes=3_000)
    assert [await again.get("lot", crop_id) for crop_id, _ in crops] == [body for _, body in crops]
    assert again.used_bytes("lot") == store.used_bytes("lot")
    assert len(files(tmp_path)) == 3


async def test_an_erased_crop_is_gone_until_another_tracklet_brings_it(store, keys):
    crop_id, body = crop(1)
    await store.put("lot", crop_id, "t1", body)
    await keys.destroy("lot", "t1")
    with pytest.raises(Gone):
        await store.get("lot", crop_id)
    with pytest.raises(Gone):
        await store.put("lot", crop_id, "t1", body)
    await store.put("lot", crop_id, "t2", body)
    assert await store.get("lot", crop_id) == body


async def test_a_damaged_file_says_so_and_is_mended_by_a_new_upload(store, tmp_path):
    crop_id, body = crop(1)
    await store.put("lot", crop_id, "t1", body)
    path = tmp_path / "crops" / "lot" / crop_id[:2] / crop_id
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CodecError):
        await store.get("lot", crop_id)
    await store.put("lot", crop_id, "t1", body)
    assert await store.get("lot", crop_id) == body
