"""What the description of the HTTP interface says of every operation."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from twin import errors
from twin.api.app import ENDPOINTS
from twin.api.tags import TAGS

HTTP_API = Path(__file__).parents[3] / "ops" / "docs" / "http-api.md"


async def read(running):
    return (await running.http.get("/openapi.json")).json()


def operations(document):
    return [(path, method, one) for path, by_method in document["paths"].items() for method, one in by_method.items()]


async def test_every_operation_is_in_one_group_that_is_described(serve):
    async with serve() as running:
        document = await read(running)
    groups = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert set(groups) <= {tag.name for tag in TAGS}
    for path, method, operation in operations(document):
        assert len(operation["tags"]) == 1, (path, method)
        assert groups[operation["tags"][0]], (path, method)


async def test_every_operation_tells_its_problems(serve):
    async with serve() as running:
        document = await read(running)
    for path, method, operation in operations(document):
        problems = {status: one for status, one in operation["responses"].items() if int(status) >= 400}
        assert "422" in problems, (path, method)
        assert ("{site}" not in path) or "404" in problems, (path, method)
        assert {"413", "415"} <= set(problems) or "requestBody" not in operation, (path, method)
        for one in problems.values():
            assert one["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


async def test_names_of_the_site_are_listed_where_they_are_wanted(serve, lot):
    async with serve() as running:
        document = await read(running)
    put = document["components"]["schemas"]["Wanted"]
    assert put["properties"]["zones"]["items"]["enum"] == sorted(zone.id for zone in lot.zones)
    for path, _, operation in operations(document):
        for one in operation["parameters"]:
            assert one["name"] != "site" or one["schema"]["enum"] == ["lot"], path
    assert "x-of-site" not in str(document)


async def test_examples_fit_the_schemas_beside_them(serve):
    async with serve() as running:
        document = await read(running)
    shown = 0
    for _, _, operation in operations(document):
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (part.get("content", {}) for part in parts):
            for told in content.values():
                if "example" in told:
                    example = json.loads(json.dumps(told["example"]).replace('"demo_lot"', '"lot"'))
                    schema = {**told["schema"], "components": document["components"]}
                    jsonschema_rs.Draft202012Validator(schema).validate(example)
                    shown += 1
    assert shown >= 6


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_what_is_no_parameter_is_refused_by_its_name(serve, endpoint):
    names = {"site": "lot", "vehicle": "v1", "session": "s1", "name": "x", "crop": "a" * 64, "position": "1"}
    names |= {"zone": "aisle", "stall": "s1", "camera": "left", "version": "1"}
    async with serve() as running:
        path = endpoint.path.format(**names)
        answer = await running.http.request(endpoint.method, path, params={"colour_of": "red"})
        assert answer.status_code == 422
        assert "'colour_of' is no parameter of" in answer.json()["detail"]


async def test_a_parameter_that_is_given_twice_is_refused(serve):
    async with serve() as running:
        answer = await running.http.get("/v1/sites/lot/state?known_at=0&known_at=0")
        assert (answer.status_code, answer.json()["detail"]) == (422, "'known_at' is given 2 times; give it once")


async def test_a_body_of_another_media_type_is_refused(serve):
    async with serve() as running:
        for media, status in (("text/plain", 415), ("application/json; charset=utf-8", 200), (None, 200)):
            headers = {} if media is None else {"content-type": media}
            answer = await running.http.put("/v1/sites/lot/subscriptions/x", content=b"{}", headers=headers)
            assert answer.status_code == status, media


async def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(serve):
    async with serve() as running:
        for method, status in (("PATCH", 405), ("OPTIONS", 204)):
            answer = await running.http.request(method, "/v1/sites/lot/subscriptions/x")
            assert answer.status_code == status
            assert answer.headers["allow"] == "DELETE, GET, HEAD, PUT"


async def test_every_kind_of_problem_is_in_the_list(serve):
    page = HTTP_API.read_text()
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.TwinError)]
    missing = sorted({one.slug for one in kinds if f"`{one.slug}`" not in page})
    assert not missing
