"""Webhooks over HTTP: endpoints that the service sends facts to, by itself."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from twin.api.bodies import StructT, read_json
from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import body_of, count_of, json, services_of, site_of
from twin.api.guard import grant_of
from twin.api.standing_views import MOST_PARKED, MOST_PARKED_IN_LISTS, facts_told, parked_views
from twin.api.subscriptions import asker_of, check_range, position_of
from twin.api.webhook_bodies import RotationWanted, WebhookReplayWanted, WebhookWanted, attempt_view, webhook_view
from twin.errors import Contradiction, NotFound
from twin.events.codec import micros
from twin.events.ids import Micros
from twin.feeds.webhooks import LONGEST_OVERLAP_S, Webhooks, WebhookStanding
from twin.log.subscriptions import Filter
from twin.log.webhooks import MOST_ATTEMPTS_KEPT
from twin.projections.webhook_answers import AttemptList, AttemptView, SecretView, WebhookList, WebhookMade, WebhookView

_BODY_BYTES = 1_000_000


async def list_webhooks(request: Request) -> Response:
    """All of them."""
    told = [await _view(request, one, most=MOST_PARKED_IN_LISTS) for one in await _webhooks(request).standings()]
    return json({"webhooks": told})


async def put_webhook(request: Request) -> Response:
    """Make one, or change its URL and filter."""
    wanted = await _body(request, WebhookWanted)
    put = await _webhooks(request).put(
        _name(request),
        wanted.url,
        Filter(types=wanted.types, zones=wanted.zones, subjects=wanted.subjects),
        after=None if wanted.after is None else position_of("after", wanted.after),
        owner=asker_of(request),
    )
    return json({**await _view(request, put.standing), "secret": put.secret})


async def read_webhook(request: Request) -> Response:
    """One, with what it has parked."""
    return json(await _view(request, await _webhooks(request).standing(_name(request))))


async def delete_webhook(request: Request) -> Response:
    """Forget one."""
    await _webhooks(request).delete(_name(request))
    return Response(status_code=204)


async def pause_webhook(request: Request) -> Response:
    """Send nothing for now."""
    return json(await _view(request, await _webhooks(request).pause(_name(request))))


async def resume_webhook(request: Request) -> Response:
    """Send again."""
    return json(await _view(request, await _webhooks(request).resume(_name(request))))


async def rotate_secret(request: Request) -> Response:
    """A new secret."""
    wanted = await _body(request, RotationWanted)
    check_range("overlap_s", wanted.overlap_s, 0, LONGEST_OVERLAP_S)
    return json({"secret": await _webhooks(request).rotate(_name(request), overlap_s=wanted.overlap_s)})


async def test_webhook(request: Request) -> Response:
    """Send a test now."""
    return json(attempt_view(await _webhooks(request).test(_name(request))))


async def replay_webhook(request: Request) -> Response:
    """Send a range again."""
    after, until = await _range(request, await _body(request, WebhookReplayWanted))
    await _webhooks(request).replay(_name(request), after=after, until=until)
    return Response(status_code=204)


async def list_webhook_deliveries(request: Request) -> Response:
    """The last requests."""
    limit = count_of(request, "limit", default=100, least=1, most=MOST_ATTEMPTS_KEPT)
    found = await _webhooks(request).attempts(_name(request), limit=limit)
    positions = sorted({one.position for one in found if one.position})
    facts = await facts_told(services_of(request).log, site_of(request).name, positions)
    return json({"deliveries": [attempt_view(one, facts.get(one.position)) for one in found]})


async def retry_webhook_delivery(request: Request) -> Response:
    """Send a parked fact again."""
    await _webhooks(request).retry(_name(request), position_of("position", request.path_params["position"]))
    return Response(status_code=204)


async def discard_webhook_delivery(request: Request) -> Response:
    """Give a parked fact up."""
    await _webhooks(request).discard(_name(request), position_of("position", request.path_params["position"]))
    return Response(status_code=204)


async def _view(request: Request, of: WebhookStanding, *, most: int = MOST_PARKED) -> dict[str, Any]:
    site = site_of(request).name
    parked = await parked_views(services_of(request).log, site, of.standing, most=most)
    is_whole = grant_of(request).allows("admin", site)
    return webhook_view(of, await _webhooks(request).lag_s(of), parked, is_whole=is_whole)


def _webhooks(request: Request) -> Webhooks:
    site = site_of(request)
    found = services_of(request).webhooks.get(site.name)
    if found is None:
        raise NotFound(f"site '{site.name}' sends no webhooks here")
    return found


def _name(request: Request) -> str:
    return request.path_params["name"]


async def _body(request: Request, kind: type[StructT]) -> StructT:
    body = await body_of(request, most_bytes=_BODY_BYTES)
    return read_json(body or b"{}", kind, what="the body", see="/openapi.json")


async def _range(request: Request, wanted: WebhookReplayWanted) -> tuple[int, int | None]:
    """(after, until) in positions."""
    by_position, by_time = (wanted.after, wanted.until), (wanted.from_at, wanted.until_at)
    if (wanted.after is None) == (wanted.from_at is None) or (any(by_position) and any(by_time)):
        raise Contradiction(
            "a range is of positions (after, until) or of times (from_at, until_at); give one of 'after' and 'from_at'"
        )
    if wanted.after is not None:
        return position_of("after", wanted.after), None if wanted.until is None else position_of("until", wanted.until)
    assert wanted.from_at is not None
    after = await _position_at(request, micros(wanted.from_at) - 1)
    return after, None if wanted.until_at is None else await _position_at(request, micros(wanted.until_at))


async def _position_at(request: Request, recorded_at: Micros) -> int:
    return await services_of(request).log.position_at(site_of(request).name, recorded_at)


_ALL = "/v1/sites/{site}/webhooks"
_ONE = f"{_ALL}/{{name}}"
_LIMIT = Parameter(
    name="limit",
    about=f"How many; at most {MOST_ATTEMPTS_KEPT} are kept.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS_KEPT, "default": 100},
)

ENDPOINTS = (
    Endpoint(path=_ALL, handler=list_webhooks, scope="read", about="All webhooks.", answer=WebhookList, refusals=(404,)),
    Endpoint(
        path=_ONE,
        method="PUT",
        handler=put_webhook,
        scope="admin",
        about="Make a webhook and get its secret, or change one's URL, and its filter for what it has not read yet.",
        answer=WebhookMade,
        body=WebhookWanted,
        refusals=(403, 404, 409, 410, 413, 422),
    ),
    Endpoint(
        path=_ONE,
        handler=read_webhook,
        scope="read",
        about="How far a webhook is, and what it has parked.",
        answer=WebhookView,
        refusals=(404, 422),
    ),
    Endpoint(
        path=_ONE,
        method="DELETE",
        handler=delete_webhook,
        scope="admin",
        about="Forget it, its secrets and what it had not delivered.",
        answer=None,
        status=204,
        refusals=(404, 422),
    ),
    Endpoint(
        path=f"{_ONE}/pause",
        method="POST",
        handler=pause_webhook,
        scope="admin",
        about="Send nothing until it is resumed; what fits waits.",
        answer=WebhookView,
        refusals=(404, 422),
    ),
    Endpoint(
        path=f"{_ONE}/resume",
        method="POST",
        handler=resume_webhook,
        scope="admin",
        about="Send again, also to an endpoint that had answered 410, and at once what waits after a failure.",
        answer=WebhookView,
        refusals=(404, 422),
    ),
    Endpoint(
        path=f"{_ONE}/secret",
        method="POST",
        handler=rotate_secret,
        scope="admin",
        about="A new secret; the ones so far sign as well for `overlap_s`, four at once at most. 0 ends all of them now.",
        answer=SecretView,
        body=RotationWanted,
        refusals=(404, 409, 413, 422),
    ),
    Endpoint(
        path=f"{_ONE}/test",
        method="POST",
        handler=test_webhook,
        scope="admin",
        about="Send a signed `webhook.test` event now, and tell what the endpoint answered.",
        answer=AttemptView,
        refusals=(404, 410, 422),
    ),
    Endpoint(
        path=f"{_ONE}/replay",
        method="POST",
        handler=replay_webhook,
        scope="operate",
        about="Send a range of positions, or of times of recording, again, in order, under the ids they had; then go on.",
        answer=None,
        status=204,
        body=WebhookReplayWanted,
        refusals=(404, 409, 410, 413, 422),
    ),
    Endpoint(
        path=f"{_ONE}/deliveries",
        handler=list_webhook_deliveries,
        scope="read",
        about="The last requests to the endpoint, the newest first.",
        answer=AttemptList,
        parameters=(_LIMIT,),
        refusals=(404, 422),
    ),
    Endpoint(
        path=f"{_ONE}/parked/{{position}}/retry",
        method="POST",
        handler=retry_webhook_delivery,
        scope="operate",
        about="Send a parked fact again.",
        answer=None,
        status=204,
        refusals=(404, 422),
    ),
    Endpoint(
        path=f"{_ONE}/parked/{{position}}",
        method="DELETE",
        handler=discard_webhook_delivery,
        scope="operate",
        about="Give a parked fact up; what waits behind it is sent.",
        answer=None,
        status=204,
        refusals=(404, 422),
    ),
)
