"""OpenAPI 3.1, made from the table of endpoints and from the very types that the answers have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route

from twin.api.endpoint import Endpoint, Parameter, Scope
from twin.api.problem import MEDIA_TYPE, Problem
from twin.api.security import REFUSALS, SCHEMES, security

_REF = "#/components/schemas/{name}"


def document(endpoints: Sequence[Endpoint], extra_routes: Iterable[BaseRoute], *, version: str) -> dict[str, Any]:
    """The description of every HTTP route; a route without an endpoint's words is described by its docstring."""
    told = [endpoint.answer for endpoint in endpoints if not isinstance(endpoint.answer, str | None)]
    types = [*told, *(endpoint.body for endpoint in endpoints if endpoint.body is not None)]
    schemas, components = msgspec.json.schema_components([*types, Problem], ref_template=_REF)
    schema_by_type = dict(zip(map(id, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_by_type)
    for route in extra_routes:
        if isinstance(route, Route):
            paths.setdefault(_plain(route.path), {}).update(_undescribed(route))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Spatial Twin", "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": components, "securitySchemes": SCHEMES},
    }


def _answer(endpoint: Endpoint, schema_by_type: dict[int, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if isinstance(endpoint.answer, str):
        told["content"] = {endpoint.answer: {"schema": {"type": "string"}}}
    elif endpoint.answer is not None:
        told["content"] = {"application/json": {"schema": schema_by_type[id(endpoint.answer)]}}
    return told


def _operation(endpoint: Endpoint, schema_by_type: dict[int, Any]) -> dict[str, Any]:
    answers = {str(endpoint.status): _answer(endpoint, schema_by_type)}
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.about,
        "parameters": [*_path_parameters(endpoint.path), *(_parameter(one) for one in endpoint.parameters)],
        "responses": answers | _problems(_refusals(endpoint.scope, endpoint.refusals)),
        "security": security(endpoint.scope),
    }
    takes = dict(endpoint.takes or {})
    if endpoint.body is not None:
        takes["application/json"] = schema_by_type[id(endpoint.body)]
    if takes:
        body = {media: {"schema": schema} for media, schema in takes.items()}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _undescribed(route: Route) -> dict[str, Any]:
    """A route of another part: what its docstring, or an ``openapi`` mapping on its function, says."""
    words = getdoc(route.endpoint) or route.name
    scope = getattr(route.endpoint, "scope", None)
    operation = {
        "operationId": route.name,
        "summary": words.splitlines()[0],
        "parameters": _path_parameters(_plain(route.path)),
        "responses": {"200": {"description": "OK"}} | _problems(_refusals(scope, (404, 422))),
        "security": security(scope),
        **getattr(route.endpoint, "openapi", {}),
    }
    return {method.lower(): operation for method in sorted((route.methods or set()) - {"HEAD"})}


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
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _problems(statuses: Iterable[int]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def _refusals(scope: Scope | None, refusals: Iterable[int]) -> list[int]:
    return sorted({*refusals, *(REFUSALS if scope is not None else ())})


def _plain(path: str) -> str:
    """A path without Starlette's converters."""
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)
