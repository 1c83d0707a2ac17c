"""Maps are checked and kept as versions; the site that is served stays as it is."""

import io
import zipfile
from pathlib import Path

import msgspec
import pytest

from site_models.load import PACKAGED, check_site, load_site

DEMO = load_site(PACKAGED / "demo_lot")
URL = "/v1/sites/demo_lot/model"
WHO = {"author": "ann", "reason": "row a has a new stall", "at": "2026-01-01T12:00:00Z"}


@pytest.fixture
def drawn():
    """The map as it is, to be changed."""
    return {
        name: msgspec.json.decode(msgspec.json.encode(getattr(DEMO, name))) for name in ("zones", "stalls", "lanes", "portals")
    }


async def test_the_map_as_it_is_has_no_faults_and_no_changes(serve, drawn):
    async with serve(sites={"demo_lot": DEMO}) as running:
        assert (await running.http.post(f"{URL}/check", json=drawn)).json() == {"faults": [], "changes": []}


async def test_what_was_moved_added_and_removed_is_told_with_how_far(serve, drawn):
    stall, gone = drawn["stalls"][0], drawn["portals"].pop()
    stall["ring_m"] = [[x, y + 0.02] for x, y in stall["ring_m"]]
    drawn["lanes"][0]["width_m"] = 3.25
    async with serve(sites={"demo_lot": DEMO}) as running:
        changes = (await running.http.post(f"{URL}/check", json=drawn)).json()["changes"]
    told = {one["id"]: one for one in changes}
    assert told[stall["id"]]["moved_m"] == pytest.approx(0.02, abs=0.001)
    assert told[gone["id"]]["what"] == "removed"
    assert told[drawn["lanes"][0]["id"]]["fields"] == ["width_m"]
    assert len(changes) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda map: map["stalls"][0].update(ring_m=map["stalls"][1]["ring_m"]), "overlaps stall"),
        (lambda map: map["stalls"][0].update(zone="none"), "zone 'none' does not exist"),
        (lambda map: map["zones"][0].update(ring_m=[[0, 0], [1, 1]]), "has 2 corners"),
        (lambda map: map["zones"][0].update(ring_m=[[0, 0], [9, 9], [9, 0], [0, 9]]), "crosses itself"),
        (lambda map: map["lanes"][0].update(width_m=-1), "width_m"),
        (lambda map: map["portals"][0].update(line_m=[[0, 0], [1e300, 0]]), "farther than 20 km"),
        (lambda map: map["zones"].append(map["zones"][0]), "the id is used twice"),
    ],
)
async def test_every_fault_of_a_map_is_told_and_it_is_not_kept(serve, drawn, tmp_path, change, said):
    change(drawn)
    async with serve(sites={"demo_lot": DEMO}, data_dir=tmp_path) as running:
        told = (await running.http.post(f"{URL}/check", json=drawn)).json()
        assert any(said in fault for fault in told["faults"])
        answer = await running.http.post(f"{URL}/versions", json={**drawn, **WHO})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:twin:problem:contradiction")
        assert (await running.http.get(f"{URL}/versions")).json()["versions"] == []


async def test_a_saved_version_is_a_folder_that_loads_and_can_be_fetched(serve, drawn, tmp_path):
    drawn["stalls"].pop()
    async with serve(sites={"demo_lot": DEMO}, data_dir=tmp_path) as running:
        first = await running.http.post(f"{URL}/versions", json={**drawn, **WHO})
        second = await running.http.post(f"{URL}/versions", json={**drawn, **WHO})
        assert (first.status_code, [one.json()["version"] for one in (first, second)]) == (201, [1, 2])
        logged = [one.event.payload for one in await running.log.observations("demo_lot", limit=10)]
        assert [(one.version, one.author) for one in logged] == [(1, "ann"), (2, "ann")]
        assert [one.json()["position"] for one in (first, second)] == ["1", "2"]
        site, faults = check_site(tmp_path / "sites" / "demo_lot" / "0001")
        assert faults == ()
        assert first.json()["folder"] == str(tmp_path / "sites" / "demo_lot" / "0001")
        assert (len(site.stalls), site.cameras) == (len(DEMO.stalls) - 1, DEMO.cameras)
        (listed, _) = (await running.http.get(f"{URL}/versions")).json()["versions"]
        assert listed["digest"] == logged[0].digest
        assert (listed["author"], listed["reason"], listed["changes"][0]["what"]) == ("ann", WHO["reason"], "removed")
        packed = zipfile.ZipFile(io.BytesIO((await running.http.get(f"{URL}/versions/2")).content))
        assert sorted(packed.namelist()) == ["cameras.toml", "map.geojson", "site.toml", "version.json"]
        served = (await running.http.get("/v1/sites/demo_lot")).json()
        assert len(served["stalls"]) == len(DEMO.stalls)


@pytest.mark.parametrize("version", ["3", "x", "..", "0001/../.."])
async def test_a_version_that_is_not_there_is_not_found(serve, tmp_path, version):
    async with serve(sites={"demo_lot": DEMO}, data_dir=tmp_path) as running:
        assert (await running.http.get(f"{URL}/versions/{version}")).status_code in (404, 405)


async def test_which_version_is_in_force_is_told_and_how_another_is_brought_in_force(serve, drawn, tmp_path):
    drawn["stalls"].pop()
    async with serve(sites={"demo_lot": DEMO}, data_dir=tmp_path) as running:
        assert (await running.http.get(f"{URL}/versions")).json() == {"versions": [], "in_force": None}
        (told,) = (await running.http.get("/-/versions.json")).json()["maps"]
        assert (told["newest"], told["words"]) == (None, "no version of its map was saved here")
        saved = (await running.http.post(f"{URL}/versions", json={**drawn, **WHO})).json()
        assert (await running.http.get(f"{URL}/versions")).json()["in_force"] is None
        (told,) = (await running.http.get("/-/versions.json")).json()["maps"]
        assert (told["in_force"], told["newest"]) == (None, 1)
        assert f"start it with --site {saved['folder']}" in told["words"]
    restarted = load_site(Path(saved["folder"]))
    async with serve(sites={"demo_lot": restarted}, data_dir=tmp_path) as running:
        assert (await running.http.get(f"{URL}/versions")).json()["in_force"] == 1
        (told,) = (await running.http.get("/-/versions.json")).json()["maps"]
        assert told["words"] == "version 1, the one saved last, is in force"
