"""Who is let in to which route. Every route passes here, and none is served without saying what it takes.

Who has no right at a site is told the same whether there is such a site or not. A key in ``Authorization`` counts before a
cookie, and a ticket of a WebSocket before both, so that what a program shows is never mixed with what a browser adds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any, NamedTuple, cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from twin.access.audit import Action, Entry
from twin.access.keys import ANYBODY, SCOPES, Grant, KeyId, Scope
from twin.access.opened import Keyed
from twin.access.rates import Kind, name_of_address
from twin.access.sessions import COOKIE
from twin.api.endpoint import Endpoint, Handler
from twin.api.exchange import services_of
from twin.api.held import held
from twin.api.origin import is_own
from twin.errors import BadInput, Forbidden, NotFound, TwinError, Unauthorized
from twin.events.ids import Micros, SiteId

Socket = Callable[[WebSocket], Awaitable[None]]

RECHECK_S = 2.0  # how long a connection may outlive its key
GOODBYE_S = 5.0  # how long a client that does not read may keep us from telling it why
POLICY = 1008  # WebSocket: refused by policy

_READING = ("GET", "HEAD", "OPTIONS")
_RATE: dict[Scope, Kind] = {"search": "searches", "ingest": "ingest"}
_HOW = "send 'Authorization: Bearer KEY'; `twin key create` makes one, and a browser logs in at /login"


class Admitted(NamedTuple):
    """Who was let in; ``ends_at`` is when a browser's session does."""

    grant: Grant
    ends_at: Micros | None = None


def grant_of(connection: HTTPConnection) -> Grant:
    """Who asks, once let in."""
    return cast(Grant, connection.state.grant)


def guarded_route(endpoint: Endpoint) -> Route:
    """An endpoint's route behind its scope."""
    return Route(endpoint.path, guarded(held(endpoint), endpoint.scope, endpoint.audit), methods=[endpoint.method])


def guarded_others(routes: Iterable[BaseRoute]) -> list[Route]:
    """Routes of other parts behind the ``scope`` that their functions have; raises BadInput for one without."""
    behind: list[Route] = []
    for route in routes:
        scope = getattr(getattr(route, "endpoint", None), "scope", "")
        if not isinstance(route, Route) or not (scope is None or scope in SCOPES):
            raise BadInput(
                f"route '{getattr(route, 'path', route)}' does not say which scope a key needs; set 'scope' on its function to"
                f" one of {', '.join(SCOPES)}, or to None if everybody may ask"
            )
        handler = guarded(cast(Handler, route.endpoint), scope, "search" if scope == "search" else None)
        behind.append(Route(route.path, handler, methods=sorted(route.methods or ()), name=route.name))
    return behind


def open_route(path: str, handler: Handler) -> Route:
    """A route for everybody: a page, or what tells nothing of any site."""
    return Route(path, guarded(handler, None))


def check_guarded(routes: Iterable[BaseRoute]) -> None:
    """Raises BadInput for a route that would be served without having said what it takes; static files are for all."""
    for route in routes:
        is_static = isinstance(route, Mount) and isinstance(route.app, StaticFiles)
        if not is_static and not getattr(getattr(route, "endpoint", None), "is_guarded", False):
            raise BadInput(f"route '{getattr(route, 'path', route)}' is not behind `guarded`; see twin/api/guard.py")


def guarded(handler: Handler, scope: Scope | None, audit: Action | None = None) -> Handler:
    """A handler that answers those who may ask, no oftener than they may, and nobody where it cannot be recorded."""

    @wraps(handler)
    async def guard(request: Request) -> Response:
        if scope is None:
            return await handler(request)
        grant = (await admitted(request, scope)).grant
        request.state.grant = grant
        response = await handler(_metered(request, scope, grant))
        if audit is not None:
            await note(request, audit, asked_for(request), n_results=getattr(request.state, "n_results", None))
        return response

    return _marked(guard, scope)


def guarded_socket(path: str, socket: Socket, scope: Scope) -> WebSocketRoute:
    """A WebSocket for those who may read, closed soon after they may no longer."""

    async def guard(websocket: WebSocket) -> None:
        who = await admitted(websocket, scope)
        websocket.state.grant = who.grant
        services_of(websocket).access.rates.charge("reads", _name(websocket, who.grant))
        keyed = services_of(websocket).access.keyed
        if keyed is None:
            await socket(websocket)
            return
        serving = asyncio.ensure_future(socket(websocket))
        watching = asyncio.create_task(_until_not_allowed(websocket, keyed, who, scope))
        try:
            await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_over = serving.done()
            serving.cancel()
            watching.cancel()
            await asyncio.gather(serving, watching, return_exceptions=True)
        if is_over:
            serving.result()
        else:
            with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):  # it does not read, or is gone
                async with asyncio.timeout(GOODBYE_S):
                    await websocket.close(POLICY, "the key is not valid any more")

    return WebSocketRoute(path, _marked(guard, scope))


def _marked(guard: Any, scope: Scope | None) -> Any:
    guard.scope, guard.is_guarded = scope, True
    return guard


async def admitted(connection: HTTPConnection, scope: Scope) -> Admitted:
    """Who asks, if they may.

    Raises:
        Unauthorized: nobody is known by what was shown.
        RateLimited: and that too often.
        Forbidden: it is not theirs to ask.
        NotFound: the site is theirs, and is not served here.
    """
    access = services_of(connection).access
    if access.keyed is None:
        return Admitted(ANYBODY)
    who = await known(connection, access.keyed)
    if who is None:
        raise Unauthorized(f"this needs a key; {_HOW}")
    site = connection.path_params.get("site")
    if not who.grant.allows(scope, site):
        raise Forbidden(
            f"key '{who.grant.key}' may not do this here; it takes scope '{scope}' for {'this' if site else 'every'} site"
        )
    if site is not None and site not in services_of(connection).sites and not who.grant.covers("*"):
        raise NotFound(f"site '{site[:80]}' is not served here; ask another service, or whoever runs this one")
    return who


async def is_known(connection: HTTPConnection) -> bool:
    """Whether a page may be shown; what it then asks for is asked for its own scope."""
    keyed = services_of(connection).access.keyed
    return keyed is None or await known(connection, keyed) is not None


async def sites_known(connection: HTTPConnection) -> tuple[SiteId, ...]:
    """Sites whose names may be told to whoever asks: none to a stranger; raises as ``known``."""
    served = sorted(services_of(connection).sites)
    keyed = services_of(connection).access.keyed
    if keyed is None:
        return tuple(served)
    who = await known(connection, keyed)
    return () if who is None else tuple(site for site in served if who.grant.covers(site))


async def note(request: Request, action: Action, subject: str, *, n_results: int | None = None) -> None:
    """Record who did what; raises Overloaded where that cannot be."""
    access = services_of(request).access
    if access.audit is None:
        return
    grant = grant_of(request)
    await access.audit.note(
        Entry(
            at=access.clock(),
            site=SiteId(request.path_params["site"]),
            key=grant.key,
            name=grant.name,
            action=action,
            subject=subject[:400],
            address=address_of(request),
            n_results=n_results,
        )
    )


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from, as far as trusted proxies told."""
    return connection.client.host if connection.client is not None else "unknown"


async def known(connection: HTTPConnection, keyed: Keyed) -> Admitted | None:
    """Who asks, whatever they may; None: nobody that is known.

    Raises:
        Forbidden: a browser's session, from a page that is not this service's.
        RateLimited: too many wrong keys from there.
        Overloaded: nobody can tell at the moment.
    """
    who = await _shown(connection, keyed)
    if who is None and ("authorization" in connection.headers or "ticket" in connection.query_params):
        services_of(connection).access.rates.charge("failures", name_of_address(address_of(connection)))
    return who


async def _shown(connection: HTTPConnection, keyed: Keyed) -> Admitted | None:
    if isinstance(connection, WebSocket) and (ticket := connection.query_params.get("ticket")) is not None:
        key = keyed.tickets.redeem(ticket, connection.path_params["site"])
        return None if key is None else await _granted(keyed, key)
    if (shown := connection.headers.get("authorization")) is not None:
        kind, _, text = shown.partition(" ")
        grant = await keyed.authority.by_text(text.strip()) if kind.lower() == "bearer" else None
        return None if grant is None else Admitted(grant)
    session = keyed.sessions.read(connection.cookies.get(COOKIE, ""))
    if session is None:
        return None
    if connection.scope.get("method") not in _READING and not is_own(connection.headers, may_be_absent=False):
        raise Forbidden("a browser's session writes from this service's own pages only; programs send a key")
    return await _granted(keyed, session.key, session.ends_at)


async def _granted(keyed: Keyed, key: KeyId, ends_at: Micros | None = None) -> Admitted | None:
    grant = await keyed.authority.by_id(key)
    return None if grant is None else Admitted(grant, ends_at)


async def _until_not_allowed(websocket: WebSocket, keyed: Keyed, who: Admitted, scope: Scope) -> None:
    """Returns when the key or the session has ended, or nobody can tell."""
    clock, site = services_of(websocket).access.clock, websocket.path_params.get("site")
    while who.ends_at is None or clock() < who.ends_at:
        await asyncio.sleep(RECHECK_S)
        try:
            grant = await keyed.authority.by_id(who.grant.key)
        except TwinError:
            return
        if grant is None or not grant.allows(scope, site):
            return


def _metered(request: Request, scope: Scope, grant: Grant) -> Request:
    """Count a request, and a sent body by the length that it declares, else while it is read. Raises RateLimited."""
    rates, kind = services_of(request).access.rates, _RATE.get(scope, "reads")
    name = _name(request, grant)
    rates.charge("sends" if kind == "ingest" else kind, name)
    if kind != "ingest":
        return request
    if (declared := request.headers.get("content-length", "")).isdigit():
        if 0 < int(declared) <= services_of(request).limits.ingest_bytes:  # what is longer is refused unread
            rates.charge(kind, name, int(declared))
        return request

    async def counted() -> Any:
        message = await request.receive()
        if n_bytes := len(message.get("body", b"")):
            rates.charge(kind, name, n_bytes)
        return message

    return Request(request.scope, counted)


def counted_as(request: Request, kind: Kind) -> None:
    """Count a request also as one of another kind; raises RateLimited."""
    services_of(request).access.rates.charge(kind, _name(request, grant_of(request)))


def _name(connection: HTTPConnection, grant: Grant) -> str:
    """What somebody is counted under."""
    return grant.key if grant is not ANYBODY else name_of_address(address_of(connection))


def asked_for(request: Request) -> str:
    """What was asked for: the path below the site, and the names of conditions. Their values may be a plate."""
    path = request.url.path.split("/", 4)[4]
    names = sorted(set(request.query_params))
    return path + (f" by {', '.join(names)}" if names else "")
