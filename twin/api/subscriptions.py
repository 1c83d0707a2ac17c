"""Durable subscriptions over HTTP: lease facts, do what is to be done, acknowledge them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from twin.access.keys import ANYBODY
from twin.api.bodies import StructT, read_json
from twin.api.endpoint import Endpoint
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.guard import grant_of
from twin.api.standing_views import parked_views, subscription_standing
from twin.api.subscription_bodies import (
    MOST_LEASED,
    Acknowledged,
    Done,
    Extended,
    Held,
    LeaseView,
    LeaseWanted,
    Refused,
    ReplayWanted,
    Wanted,
)
from twin.errors import BadInput, Conflict, Forbidden, NotFound
from twin.events.codec import rfc3339, to_cloudevent
from twin.feeds.subscriptions import MOST_OF_ONE, Lease, Standing, Subscriptions
from twin.log.subscriptions import Filter
from twin.log.webhooks import PREFIX
from twin.projections.standing_answers import SubscriptionList, SubscriptionView
from twin.projections.waiting import MOST_WAIT_S

_BODY_BYTES = 1_000_000
_LOOK_EVERY_S = 0.5  # whether the service is about to stop


async def list_subscriptions(request: Request) -> Response:
    """All of them."""
    subscriptions = _subscriptions(request)
    names = await subscriptions.names()
    own = [one for one in await subscriptions.standings() if not one.subscription.name.startswith(PREFIX)]
    told = [subscription_standing(one, await subscriptions.lag_s(one)) for one in own]
    return json({"subscriptions": names, "standings": told})


async def put_subscription(request: Request) -> Response:
    """Make one, or change its filter."""
    wanted = await _body(request, Wanted)
    standing = await _subscriptions(request).put(
        await _own_name(request),
        Filter(types=wanted.types, zones=wanted.zones, subjects=wanted.subjects),
        after=None if wanted.after is None else position_of("after", wanted.after),
        most_attempts=wanted.most_attempts,
        owner=asker_of(request),
        most_of_owner=None if grant_of(request).allows("operate", site_of(request).name) else MOST_OF_ONE,
    )
    return json(await _view(request, standing))


async def read_subscription(request: Request) -> Response:
    """One, with what it has parked."""
    return json(await _view(request, await _subscriptions(request).standing(_name(request))))


async def pause_subscription(request: Request) -> Response:
    """Hand nothing out for now."""
    return json(await _view(request, await _subscriptions(request).pause(await _own_name(request))))


async def resume_subscription(request: Request) -> Response:
    """Hand out again."""
    return json(await _view(request, await _subscriptions(request).resume(await _own_name(request))))


async def delete_subscription(request: Request) -> Response:
    """Forget one."""
    name, asker = await _own_name(request), asker_of(request)
    if not grant_of(request).allows("operate", site_of(request).name):
        owner = await _subscriptions(request).owner(name)
        if not asker or owner != asker:
            raise Forbidden(
                f"subscription '{name[:80]}' was not made with this key, if there is one; another key needs scope 'operate'"
            )
    await _subscriptions(request).delete(name)
    return Response(status_code=204)


async def post_lease(request: Request) -> Response:
    """Take what is to be done next."""
    wanted = await _body(request, LeaseWanted)
    check_range("limit", wanted.limit, 1, MOST_LEASED)
    check_range("lease_s", wanted.lease_s, 1, 3600)
    check_range("wait_s", wanted.wait_s, 0, 60)
    check_range("the length of consumer", len(wanted.consumer), 0, 200)
    lease = await _leased(request, wanted)
    told = [{"n_attempts": one.delivery.n_attempts, "event": to_cloudevent(one.fact)} for one in lease.handed]
    return json({"lease": lease.number, "until": rfc3339(lease.until), "deliveries": told})


async def _leased(request: Request, wanted: LeaseWanted) -> Lease:
    """A lease, or an empty one once the wait is over or the service is about to stop."""
    stopping, now_s = services_of(request).stopping, asyncio.get_running_loop().time
    until_s = now_s() + min(wanted.wait_s, MOST_WAIT_S)
    while True:
        lease = await _subscriptions(request).lease(
            await _own_name(request),
            limit=wanted.limit,
            lease_s=wanted.lease_s,
            wait_s=max(0.0, min(until_s - now_s(), _LOOK_EVERY_S)),
            consumer=wanted.consumer,
        )
        if lease.number or stopping.is_set() or now_s() >= until_s:
            return lease


async def post_acknowledgement(request: Request) -> Response:
    """These are done."""
    done = await _body(request, Acknowledged)
    positions = [position_of("positions", one) for one in done.positions]
    lost = await _subscriptions(request).acknowledge(await _own_name(request), done.lease, positions)
    return json({"lost": [str(position) for position in lost]})


async def post_refusal(request: Request) -> Response:
    """This one could not be done."""
    refused = await _body(request, Refused)
    position = position_of("position", refused.position)
    held = await _subscriptions(request).refuse(await _own_name(request), refused.lease, position, refused.reason)
    return json({"lost": [] if held else [refused.position]})


async def post_release(request: Request) -> Response:
    """Give a lease back untried."""
    held = await _body(request, Held)
    check_range("lease_s", held.lease_s, 1, 3600)
    await _subscriptions(request).release(await _own_name(request), held.lease)
    return Response(status_code=204)


async def post_extension(request: Request) -> Response:
    """Hold a lease for longer."""
    held = await _body(request, Held)
    check_range("lease_s", held.lease_s, 1, 3600)
    return json({"is_held": await _subscriptions(request).extend(await _own_name(request), held.lease, held.lease_s)})


async def post_replay(request: Request) -> Response:
    """Deliver a range again."""
    wanted = await _body(request, ReplayWanted)
    until = None if wanted.until is None else position_of("until", wanted.until)
    await _subscriptions(request).replay(await _own_name(request), after=position_of("after", wanted.after), until=until)
    return Response(status_code=204)


async def post_retry(request: Request) -> Response:
    """Deliver a parked fact again."""
    await _subscriptions(request).retry(await _own_name(request), position_of("position", request.path_params["position"]))
    return Response(status_code=204)


async def delete_parked(request: Request) -> Response:
    """Give a parked fact up."""
    await _subscriptions(request).discard(await _own_name(request), position_of("position", request.path_params["position"]))
    return Response(status_code=204)


async def _view(request: Request, standing: Standing) -> dict[str, Any]:
    lag_s = await _subscriptions(request).lag_s(standing)
    parked = await parked_views(services_of(request).log, site_of(request).name, standing)
    return {**subscription_standing(standing, lag_s), "parked": parked}


def _subscriptions(request: Request) -> Subscriptions:
    site = site_of(request)
    found = services_of(request).subscriptions.get(site.name)
    if found is None:
        raise NotFound(f"site '{site.name}' takes no subscriptions here")
    return found


def _name(request: Request) -> str:
    return request.path_params["name"]


async def _own_name(request: Request) -> str:
    """The name of a subscription that whoever asks may take from and change.

    Raises:
        Conflict: it is a webhook's.
        Forbidden: another consumer made it, whose facts would be gone.
    """
    name = _name(request)
    if name.startswith(PREFIX):
        raise Conflict(f"subscription '{name[:80]}' is a webhook's own; use webhooks/{name[len(PREFIX) :][:80]} of this site")
    asker = asker_of(request)
    if asker and not grant_of(request).allows("operate", site_of(request).name):
        owner = await _subscriptions(request).owner(name)
        if owner and owner != asker:
            raise Forbidden(
                f"subscription '{name[:80]}' was made with key '{owner}'; another key takes from it with scope 'operate',"
                " or make a subscription of your own"
            )
    return name


def asker_of(request: Request) -> str:
    """Whose subscription one is that is made now: keys of one name are one consumer's, so that its key can be renewed."""
    grant = grant_of(request)
    return "" if grant is ANYBODY else grant.name or grant.key


async def _body(request: Request, kind: type[StructT]) -> StructT:
    body = await body_of(request, most_bytes=_BODY_BYTES)
    return read_json(body or b"{}", kind, what="the body", see="/openapi.json")


def position_of(name: str, text: str) -> int:
    """A position from a request; raises BadInput."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"{name}='{text[:60]}' is no position; give digits")
    return int(text)


def check_range(name: str, given: float, least: int, most: int) -> None:
    if not least <= given <= most:
        raise BadInput(f"{name}={given} cannot be used; give {least} to {most}")


_ALL = "/v1/sites/{site}/subscriptions"
_ONE = f"{_ALL}/{{name}}"


_LEASED = (404, 409, 422)

ENDPOINTS = (
    Endpoint(
        path=_ALL,
        handler=list_subscriptions,
        scope="read",
        about="All names, and how far each is.",
        answer=SubscriptionList,
        refusals=(404,),
    ),
    Endpoint(
        path=_ONE,
        method="PUT",
        handler=put_subscription,
        scope="read",
        about="Make a durable subscription to facts, or change the filter of one for what it has not read yet.",
        answer=SubscriptionView,
        body=Wanted,
        refusals=(404, 409, 410, 413, 422),
    ),
    Endpoint(
        path=_ONE,
        handler=read_subscription,
        scope="read",
        about="How far a subscription is, and what it has parked.",
        answer=SubscriptionView,
        refusals=(404,),
    ),
    Endpoint(
        path=_ONE,
        method="DELETE",
        handler=delete_subscription,
        scope="read",
        about="Forget it.",
        answer=None,
        status=204,
        refusals=(404, 409),
    ),
    Endpoint(
        path=f"{_ONE}/pause",
        method="POST",
        handler=pause_subscription,
        scope="operate",
        about="Hand nothing out until it is resumed: leases are empty, what is leased can be acknowledged, nothing is lost.",
        answer=SubscriptionView,
        refusals=(404, 409),
    ),
    Endpoint(
        path=f"{_ONE}/resume",
        method="POST",
        handler=resume_subscription,
        scope="operate",
        about="Go on after a pause, with all that fits since.",
        answer=SubscriptionView,
        refusals=(404, 409),
    ),
    Endpoint(
        path=f"{_ONE}/lease",
        method="POST",
        handler=post_lease,
        scope="read",
        about="Take the next facts; nobody else is given them until the lease ends or they are acknowledged.",
        answer=LeaseView,
        body=LeaseWanted,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/acknowledge",
        method="POST",
        handler=post_acknowledgement,
        scope="read",
        about="These are done, in order within each session.",
        answer=Done,
        body=Acknowledged,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/refuse",
        method="POST",
        handler=post_refusal,
        scope="read",
        about="This one could not be done: it comes again after a pause, and is parked after most_attempts.",
        answer=Done,
        body=Refused,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/release",
        method="POST",
        handler=post_release,
        scope="read",
        about="Give a lease back untried.",
        answer=None,
        status=204,
        body=Held,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/extend",
        method="POST",
        handler=post_extension,
        scope="read",
        about="Hold a lease for longer.",
        answer=Extended,
        body=Held,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/replay",
        method="POST",
        handler=post_replay,
        scope="operate",
        about="Deliver a range of positions again, in order, then go on.",
        answer=None,
        status=204,
        body=ReplayWanted,
        refusals=(404, 409, 410, 422),
    ),
    Endpoint(
        path=f"{_ONE}/parked/{{position}}/retry",
        method="POST",
        handler=post_retry,
        scope="operate",
        about="Deliver a parked fact again.",
        answer=None,
        status=204,
        refusals=_LEASED,
    ),
    Endpoint(
        path=f"{_ONE}/parked/{{position}}",
        method="DELETE",
        handler=delete_parked,
        scope="operate",
        about="Give a parked fact up; what waits behind it is delivered.",
        answer=None,
        status=204,
        refusals=_LEASED,
    ),
)
