"""OpenAPI 3.1, made from the table of endpoints and from the very types that the answers have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

import msgspec
from msgspec import Struct
from starlette.routing import BaseRoute, Route

from site_models.schema import Site
from twin.api.endpoint import WAIT_FOR, Endpoint, Parameter
from twin.api.problem import MEDIA_TYPE, Problem
from twin.api.security import REFUSALS, SCHEMES, security
from twin.api.site_words import filled, sent_observation
from twin.api.tags import TAGS, tag_of
from twin.events.codec import FACT_TYPES
from twin.events.docstrings import described
from twin.events.schemas import fact_schema, payload_schemas
from twin.events.wire import POSITION, of_site

REF = "#/components/schemas/{name}"
ABOUT = """What a site's twin knows, at any time and as it was known at any time. Answers are canonical JSON: the same content
is the same bytes. Errors are `application/problem+json` (RFC 9457); `detail` says what was wrong, and what to do. Facts as they
come are described in [asyncapi.json](/asyncapi.json); both are to be read at [/docs](/docs)."""

FOR_ALL = (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Problems that every operation has: a host that is not this service's, a parameter that it does not know, or a value that it
cannot have."""

_OF_BODIES = (413, 415, 422)
_OF_WRITES = (403,)  # a page of another website
_PATH_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "site": of_site("site"),
    "zone": of_site("zone"),
    "stall": of_site("stall"),
    "camera": of_site("camera"),
    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"},
    "crop": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "position": POSITION,
}


def document(
    endpoints: Sequence[Endpoint],
    extra_routes: Iterable[BaseRoute],
    *,
    version: str,
    sites: Iterable[Site] = (),
    has_keys: bool = True,
) -> dict[str, Any]:
    """The description of every HTTP route; a route without an endpoint's words is described by its docstring.

    Args:
        sites: those served; their names, and those on their maps, are listed where one of them is wanted.
        has_keys: whether anybody is asked for a key.
    """
    routes = [route for route in extra_routes if isinstance(route, Route)]
    schema_by_type, components = _schemas(endpoints, routes)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_by_type)
    for route in routes:
        paths.setdefault(_plain(route.path), {}).update(_undescribed(route, schema_by_type))
    used = {operation["tags"][0] for operations in paths.values() for operation in operations.values()}
    told = {
        "openapi": "3.1.0",
        "info": {
            "title": "Spatial Twin",
            "version": version,
            "summary": "A live, auditable model of sites where vehicles drive in and out.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag.name, "description": tag.about} for tag in TAGS if tag.name in used],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": components, "securitySchemes": SCHEMES},
    }
    if not has_keys:
        _open(told)
    sites = tuple(sites)
    components["SentObservation"] = sent_observation(sites)
    return filled(told, sites)


def _open(told: dict[str, Any]) -> None:
    """Take out what is said of keys, which nobody asks for."""
    del told["components"]["securitySchemes"]
    for operation in (one for operations in told["paths"].values() for one in operations.values()):
        operation["security"] = []
        operation["responses"].pop("401", None)


def _schemas(endpoints: Sequence[Endpoint], routes: Iterable[Route]) -> tuple[dict[int, Any], dict[str, Any]]:
    """Of every type that a body or an answer has, by its identity; and the components that they refer to."""
    told = [endpoint.answer for endpoint in endpoints if not isinstance(endpoint.answer, str | None)]
    told += [getattr(route.endpoint, "answer") for route in routes if hasattr(route.endpoint, "answer")]  # noqa: B009
    types = [*told, *(endpoint.body for endpoint in endpoints if endpoint.body is not None), Problem]
    types += [part for endpoint in endpoints for part in endpoint.parts]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    data, of_events = payload_schemas()
    facts = {name: fact_schema(name, schema) for name, schema in data.items() if name in FACT_TYPES}
    fact = {
        "title": "Fact",
        "description": "A fact as CloudEvents JSON: what the twin concluded. The types are in /asyncapi.json.",
        "oneOf": list(facts.values()),
    }
    own = {name: described(schema) for name, schema in components.items()}
    return dict(zip(map(id, types), schemas, strict=True)), {**of_events, **own, "Fact": fact}


def _operation(endpoint: Endpoint, schema_by_type: Mapping[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "tags": [tag_of(endpoint.path)],
        "summary": endpoint.about,
        "parameters": [*_path_parameters(endpoint.path), *(_parameter(one) for one in endpoint.parameters)],
        "responses": {**_answers(endpoint, schema_by_type), **_problems(_refusals(endpoint))},
        "security": security(endpoint.scope),
        "x-scope": endpoint.scope,
    }
    if endpoint.takes or endpoint.body is not None:
        operation["requestBody"] = _body(endpoint, schema_by_type)
    return operation


def _answers(endpoint: Endpoint, schema_by_type: Mapping[int, Any]) -> dict[str, Any]:
    told = {str(endpoint.status): _answer(endpoint, schema_by_type)}
    return {**told, "204": {"description": "There is nothing"}} if endpoint.may_be_empty else told


def _answer(endpoint: Endpoint, schema_by_type: Mapping[int, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if isinstance(endpoint.answer, str):
        told["content"] = {endpoint.answer: {"schema": {"type": "string"}}}
    elif endpoint.answer is not None:
        told["content"] = {"application/json": _with_example(schema_by_type[id(endpoint.answer)], endpoint.answer_example)}
    return told


def _body(endpoint: Endpoint, schema_by_type: Mapping[int, Any]) -> dict[str, Any]:
    takes, example = endpoint.takes or {}, endpoint.body_example
    content = {media: _with_example(schema, example if schema.get("$ref") else None) for media, schema in takes.items()}
    if endpoint.encoding is not None:
        content["multipart/form-data"] |= {"encoding": endpoint.encoding}
    if endpoint.body is not None:
        content["application/json"] = _with_example(
            {**schema_by_type[id(endpoint.body)], **(endpoint.body_rules or {})}, example
        )
    may_lack = endpoint.may_lack_body or (endpoint.body is not None and may_be_empty(endpoint.body))
    return {"required": not may_lack, "content": content}


def _with_example(schema: Any, example: Any) -> dict[str, Any]:
    return {"schema": schema, **({} if example is None else {"example": example})}


def may_be_empty(body: type[Struct]) -> bool:
    """Whether a body may be left out: everything in it has a default."""
    return not any(field.required for field in msgspec.structs.fields(body))


def _refusals(endpoint: Endpoint) -> list[int]:
    has_body = bool(endpoint.takes) or endpoint.body is not None
    found = {*endpoint.refusals, *FOR_ALL, *(_OF_BODIES if has_body else ())}
    found |= set(_OF_WRITES) if endpoint.method != "GET" else set()
    found |= set(REFUSALS) if endpoint.scope is not None else set()
    found |= {404} if "{" in endpoint.path else set()
    found |= {409} if WAIT_FOR in endpoint.parameters else set()
    return sorted(found)


def _undescribed(route: Route, schema_by_type: Mapping[int, Any]) -> dict[str, Any]:
    """A route of another part: what its docstring, and ``openapi`` and ``answer`` on its function, say."""
    words = getdoc(route.endpoint) or route.name
    scope = getattr(route.endpoint, "scope", None)
    answer = getattr(route.endpoint, "answer", None)
    content = {} if answer is None else {"content": {"application/json": {"schema": schema_by_type[id(answer)]}}}
    methods = sorted((route.methods or set()) - {"HEAD"})
    operation = {
        "operationId": route.name,
        "tags": [tag_of(_plain(route.path))],
        "summary": words.splitlines()[0],
        "parameters": _path_parameters(_plain(route.path)),
        "security": security(scope),
        "x-scope": scope,
        **getattr(route.endpoint, "openapi", {}),
    }
    refusals = {404, *getattr(route.endpoint, "refusals", ()), *FOR_ALL, *(REFUSALS if scope is not None else ())}
    refusals |= set() if "GET" in methods else {*_OF_BODIES, *_OF_WRITES}
    operation["responses"] = {"200": {"description": "OK", **content}, **_problems(sorted(refusals))}
    return {method.lower(): operation for method in methods}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": _path_schema(path, name)} for name in names]


def _problems(statuses: Iterable[int]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}}
    return {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def _plain(path: str) -> str:
    """A path without Starlette's converters."""
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def _path_schema(path: str, name: str) -> Mapping[str, Any]:
    if name == "name" and "/webhooks/" in path:
        return {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,53}$"}
    return _PATH_SCHEMAS.get(name, {"type": "string"})
