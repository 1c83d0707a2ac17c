"""One site of a service over HTTP: requests that are tried again while it is away, and what it refuses as an error.

A service is away where no connection holds, or who stands between says so (502, 503, 504). One that is there and fails (500),
or wants no more of this key now (429), is asked again for a while and then believed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from twin.backoff import Backoff
from twin.errors import BadInput, TwinError

PATIENCE_S = 60.0
"""For how long one request is tried again, where nobody says."""

AWAY = frozenset({502, 503, 504})
FAILING = frozenset({429, 500})
"""Answers after which a request is tried again: the service is not there, or it is and does not do it."""
_SAID_EVERY_S = 60.0  # that it is still away
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
    """Requests about one site, each tried again while the service is away or fails.

    Args:
        headers: sent with every request; what a service asks for before it answers goes here.
        patience_s: for how long a service that is away is tried again. None: ``PATIENCE_S``, and for ever by what follows it.
            One that answers and fails is tried for no longer than ``PATIENCE_S`` where this is None or infinite.
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
        is_followed: bool = False,
    ) -> httpx2.Response:
        """One request, tried again while the service is away or fails.

        Args:
            path: after the site's.
            body: sent as JSON; else ``content`` as ``media_type``, or ``files`` as a form.
            is_followed: of somebody who follows the service for ever, and waits for ever for it to come back.

        Raises:
            ServiceError: the service stayed away for too long, or failed for as long, with what it said last.
        """
        sent = content if body is None else msgspec.json.encode(body)
        headers = self.headers | ({} if sent is None else {"content-type": media_type})
        url, trying = f"{self.base}/{path}" if path else self.base, Trying(self._patience_s, is_followed, now_s())
        while True:
            response, wrong = None, ""
            try:
                response = await self._http.request(method, url, params=query, content=sent, files=files, headers=headers)
                if response.status_code not in AWAY | FAILING:
                    return response
            except httpx2.TransportError as lost:
                wrong = f"{type(lost).__name__}: {lost}"
            trouble = wrong if response is None else told_by(response)
            if (
                ended := trying.ended(now_s(), is_failing=response is not None and response.status_code in FAILING)
            ) is not None:
                told = f"the service at {self.base} {ended}: {trouble}"
                raise ServiceError(told) if response is None else refusal(response, told)
            if trying.is_to_be_said(now_s()):
                _logger.warning("the service at %s is away, trying again: %s", self.base, trouble)
            await asyncio.sleep(self._backoff.wait_s(trying.n_failures))


class Trying:
    """How often and for how long one request, or one connection, has failed in a row."""

    def __init__(self, patience_s: float | None, is_followed: bool, started_s: float) -> None:
        self._failing_s = PATIENCE_S if patience_s is None or math.isinf(patience_s) else patience_s
        self._away_s = patience_s if patience_s is not None else math.inf if is_followed else PATIENCE_S
        self._started_s = started_s
        self._failing_since_s: float | None = None
        self._said_s = -math.inf
        self.n_failures = 0

    def ended(self, now_s: float, *, is_failing: bool) -> str | None:
        """Count a failure; why it is the last one, None where it is not."""
        self.n_failures += 1
        if not is_failing:
            return f"did not answer for {self._away_s:g} s" if now_s - self._started_s > self._away_s else None
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        is_over = now_s - self._failing_since_s > self._failing_s or now_s - self._started_s > self._away_s
        return f"failed for {min(self._failing_s, self._away_s):g} s" if is_over else None

    def is_to_be_said(self, now_s: float) -> bool:
        """Whether the last one was long enough ago to tell that it goes on."""
        if now_s - self._said_s < _SAID_EVERY_S:
            return False
        self._said_s = now_s
        return True


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response; raises ServiceError where it is no success."""
    if response.is_success:
        return response
    raise refusal(response, told_by(response))


def refusal(response: httpx2.Response, told: str) -> ServiceError:
    """An answer as the error that it is."""
    return ServiceError(told, status=response.status_code, problem=_problem(response))


def told_by(response: httpx2.Response) -> str:
    """What an answer says, in words."""
    return f"{response.status_code}: {_problem(response).get('detail', response.text[:200])}"


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return {}


def now_s() -> float:
    """The event loop's clock."""
    return asyncio.get_running_loop().time()
