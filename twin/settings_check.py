"""Whether settings can be used, before anything is opened or moved: what ``twin serve`` would refuse, told by its variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from twin.access.hosts import hosts_of
from twin.errors import BadInput, TwinError
from twin.feeds.receiver_address import allowed_of
from twin.log.sql.dialect import locate
from twin.picture_embedders import embedders
from twin.process import is_loopback, proxies_of
from twin.settings import Settings


def check_settings(settings: Settings) -> None:
    """Raise the first fault of ``setting_faults``."""
    for _, wrong in setting_faults(settings):
        raise wrong


def setting_faults(settings: Settings) -> Iterator[tuple[str, TwinError]]:
    """Variables whose values cannot be used, with what ``twin serve`` would say. A model is opened; servers are not asked."""
    for variable, check in _CHECKS.items():
        try:
            check(settings)
        except TwinError as wrong:
            yield variable, wrong


def _check_search_server(settings: Settings) -> None:
    try:
        _ = urlsplit(settings.qdrant_url or "").port
    except ValueError as wrong:
        raise BadInput(f"TWIN_QDRANT_URL is no address: {wrong}; give http://HOST:6333") from None


_CHECKS: Mapping[str, Callable[[Settings], object]] = {
    "TWIN_HOST": lambda given: is_loopback(given.host),
    "TWIN_HOSTS": lambda given: hosts_of(given.hosts, listens_on="127.0.0.1", has_keys=given.has_keys),
    "TWIN_DATABASE_URL": lambda given: locate(given.log_location),
    "TWIN_TRUSTED_PROXIES": lambda given: proxies_of(given.trusted_proxies),
    "TWIN_WEBHOOK_ALLOW": lambda given: allowed_of(given.webhook_allow),
    "TWIN_QDRANT_URL": _check_search_server,
    "TWIN_EMBEDDER": lambda given: None if given.embedder is None else embedders(given),
}
