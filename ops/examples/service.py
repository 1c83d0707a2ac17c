"""The twin's HTTP interface as the examples use it."""

from __future__ import annotations

import os
from urllib.parse import quote

import httpx2

from twin.client_key import client_key, key_shown
from twin.errors import BadInput


def headers() -> dict[str, str]:
    """What a request shows of who asks: the key in ``TWIN_API_KEY``; nothing where that is absent or blank."""
    return key_shown(client_key(os.environ))


def site_address(url: str, site: str) -> str:
    """Where a site's routes are."""
    return f"{url.rstrip('/')}/v1/sites/{quote(site, safe='')}"


async def asked(http: httpx2.AsyncClient, path: str, **query: str) -> httpx2.Response:
    """One read.

    Raises:
        BadInput: it was refused, or nobody answers.
    """
    try:
        answer = await http.get(path, params=query)
    except httpx2.TransportError as away:
        raise BadInput(
            f"{path} cannot be reached: {type(away).__name__}: {away}; start the service, or correct --url"
        ) from None
    if not answer.is_success:
        raise BadInput(f"{path} answered {answer.status_code}: {answer.text[:300]}")
    return answer
