"""Browsers log in with a key once, and are known by a cookie from then on: pages cannot set headers on pictures and sockets."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from twin.access.keys import ANYBODY, NOBODY, Scope
from twin.access.rates import name_of_address
from twin.access.sessions import COOKIE
from twin.api.bodies import read_json
from twin.api.endpoint import Endpoint, Handler
from twin.api.exchange import body_of, json, services_of
from twin.api.guard import address_of, is_known, known
from twin.errors import Conflict, Unauthorized

_BODY_BYTES = 65_536  # a key that is too long is told so; only what is no login at all is too large


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key that a person has been given."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]


class SessionView(Struct, frozen=True, kw_only=True):
    """Who asks; without a name, sites and scopes it is nobody who is known.

    Attributes:
        is_open: access is open: nobody needs a key.
        key: its number; empty: nobody is logged in.
        sites: that the key is for; ``*`` is every site.
    """

    is_open: bool
    key: str
    name: str
    sites: tuple[str, ...]
    scopes: tuple[Scope, ...]


def for_known(page: Handler) -> Handler:
    """A page for those who are logged in; others are sent to log in, and come back."""

    async def shown(request: Request) -> Response:
        if await is_known(request):
            return await page(request)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'next': wanted})}", 303)

    return shown


async def post_login(request: Request) -> Response:
    """Log in: the key is checked once, and the answer's cookie stands for it."""
    access = services_of(request).access
    body = await body_of(request, most_bytes=_BODY_BYTES)
    if access.keyed is None:
        raise Conflict("access is open here; nobody logs in")
    given = read_json(body, Login, what="the login", see="ops/docs/access.md")
    grant = await access.keyed.authority.by_text(given.key.strip())
    if grant is None:
        access.rates.charge("failures", name_of_address(address_of(request)))
        raise Unauthorized("this key is not valid: mistyped, revoked or expired; ask whoever gave it to you")
    response = Response(status_code=204, headers={"cache-control": "no-store"})
    sessions = access.keyed.sessions
    response.set_cookie(
        COOKIE,
        sessions.issue(grant.key),
        max_age=sessions.lasts_s,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def read_login(request: Request) -> Response:
    """Who asks, and what they may; a key that is shown and is none is refused, but nobody is no error."""
    keyed = services_of(request).access.keyed
    who = None if keyed is None else await known(request, keyed)
    if keyed is not None and who is None and "authorization" in request.headers:
        raise Unauthorized("the key that is shown is not valid: mistyped, revoked or expired; ask whoever gave it to you")
    grant = who.grant if who is not None else ANYBODY if keyed is None else NOBODY
    view = SessionView(is_open=keyed is None, key=grant.key, name=grant.name, sites=grant.sites, scopes=grant.scopes)
    return json(msgspec.to_builtins(view))


async def delete_login(request: Request) -> Response:
    """Log out."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


_PATH = "/v1/session"

ENDPOINTS = (
    Endpoint(
        path=_PATH, handler=read_login, scope=None, about="Who asks, and what they may.", answer=SessionView, refusals=(401,)
    ),
    Endpoint(
        path=_PATH,
        method="POST",
        status=204,
        handler=post_login,
        scope=None,
        about="Log a browser in: the answer sets a cookie that stands for the key.",
        answer=None,
        body=Login,
        refusals=(401, 409, 413, 422, 429),
    ),
    Endpoint(path=_PATH, method="DELETE", status=204, handler=delete_login, scope=None, about="Log out.", answer=None),
)
