"""One site of a service over HTTP: requests that are tried again while it is away, and what it refuses as an error."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from twin.backoff import Backoff
from twin.errors import BadInput, TwinError

_RETRIED = frozenset({429, 500, 502, 503, 504})
_TIMEOUT_S = 80.0  # longer than the service may wait before it answers

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class ServiceError(TwinError):
    """The service refused a request, or could not be reached for longer than the client waits.

    Attributes:
        status: of the answer; None where there was none.
        problem: what the service said: ``type``, ``title``, ``status`` and ``detail``; empty where it said nothing like it.
    """

    slug = "service-error"

    def __init__(self, message: str, *, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[assignment]
        self.problem: Mapping[str, Any] = problem or {}


class Connection:
    """Requests about one site. A service that is away is tried again for as long as ``patience_s`` (None: for ever).

    Args:
        headers: sent with every request; what a service asks for before it answers goes here.
    """

    def __init__(
        self,
        url: str,
        site: str,
        *,
        http: httpx2.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"'{url}' is no address of a service; give for instance http://127.0.0.1:8600")
        self.base = f"{url.rstrip('/')}/v1/sites/{quote(site, safe='')}"
        self.headers = dict(headers or {})
        self._http = http or httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self._is_owner = http is None
        self._patience_s = patience_s
        self._backoff = backoff or Backoff(random.random, first_s=0.1, longest_s=10.0)

    async def aclose(self) -> None:
        """Close what it opened itself."""
        if self._is_owner:
            await self._http.aclose()

    async def read(self, kind: type[T], path: str, query: Mapping[str, str] | None = None) -> T:
        """GET, decoded; raises ServiceError."""
        answer = await self.answer("GET", path, query=query)
        return msgspec.json.decode(answer.content, type=kind)

    async def answer(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """As ``request``, where anything but success is a ServiceError."""
        return checked(await self.request(method, path, **given))

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
        files: Any = None,
    ) -> httpx2.Response:
        """One request, tried again while the service is away.

        Args:
            path: after the site's.
            body: sent as JSON; else ``content`` as ``media_type``, or ``files`` as a form.

        Raises:
            ServiceError: the service stayed away for too long.
        """
        sent = content if body is None else msgspec.json.encode(body)
        headers = self.headers | ({} if sent is None else {"content-type": media_type})
        url, started, n_failures = f"{self.base}/{path}", now_s(), 0
        while True:
            try:
                response = await self._http.request(method, url, params=query, content=sent, files=files, headers=headers)
                if response.status_code not in _RETRIED:
                    return response
                trouble = _told(response)
            except httpx2.TransportError as wrong:
                trouble = f"{type(wrong).__name__}: {wrong}"
            n_failures += 1
            if self._patience_s is not None and now_s() - started > self._patience_s:
                raise ServiceError(f"the service at {self.base} did not answer for {self._patience_s} s: {trouble}")
            if n_failures == 1:
                _logger.warning("the service at %s is away, trying again: %s", self.base, trouble)
            await asyncio.sleep(self._backoff.wait_s(n_failures))


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response; raises ServiceError where it is no success."""
    if response.is_success:
        return response
    raise ServiceError(_told(response), status=response.status_code, problem=_problem(response))


def _told(response: httpx2.Response) -> str:
    """What a problem says, in words."""
    return f"{response.status_code}: {_problem(response).get('detail', response.text[:200])}"


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return {}


def now_s() -> float:
    """The event loop's clock."""
    return asyncio.get_running_loop().time()
