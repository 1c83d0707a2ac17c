"""Empties a spool into the service over HTTP, for as long as it takes."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from typing import Any

import httpx2
import msgspec
from msgspec import Struct

from perception.spool import Spool, SpoolItem
from twin.backoff import Backoff
from twin.client_key import key_shown
from twin.errors import BadInput, TwinError
from twin.events.ids import SiteId

_BATCH_REFUSED = frozenset({400, 409, 413, 422})  # this batch, not this edge: find the item
_CROP_REFUSED = frozenset({400, 409, 410, 413, 415, 422, 507})  # the crop is not wanted or has no room

_logger = logging.getLogger(__name__)


class _Receipt(Struct):
    outcome: str


class _Receipts(Struct):
    receipts: list[_Receipt]


class _Unavailable(Exception):
    """The service cannot be reached or cannot take more now; try later."""


class _Barred(_Unavailable):
    """The service does not let this edge in; somebody has to give it a key that is right. Try now and then."""


class Sender:
    """Delivers a spool's items in order from a thread of its own.

    A service that is away is tried for ever, at growing intervals: the spool bounds what that costs. A batch that is
    refused is halved until the item is found, which is parked in the spool's ``rejected.jsonl``. A service that does not let
    the edge in, because its key is missing, wrong or for something else, is tried slowly, and said so: a key that is put
    right a day late costs nothing that the spool has room for. Any other refusal stops the sender with ``BadInput``; what is
    spooled stays.

    Args:
        key: API key with scope ``ingest`` for the site; None where access is open.
        barred_s: seconds between two tries while the edge is not let in.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        url: str,
        site: SiteId,
        backoff: Backoff | None = None,
        timeout_s: float = 10.0,
        key: str | None = None,
        barred_s: float = 30.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"--log '{url}' is no address of a service; for instance --log http://127.0.0.1:8600")
        self._spool = spool
        self._base = f"{url.rstrip('/')}/v1/sites/{site}"
        self._backoff = backoff or Backoff(random.random, first_s=0.2, longest_s=15.0)
        self._client = httpx2.Client(timeout=timeout_s, headers=key_shown(key))
        self._barred_s = barred_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._failure: BaseException | None = None
        self.n_delivered = 0
        self.n_expired = 0
        self.last_trouble: str | None = None

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise what stopped the sender, if anything did."""
        if isinstance(self._failure, TwinError):
            raise self._failure
        if self._failure is not None:
            raise BadInput(f"the sender stopped: {self._failure!r}; the spool '{self._spool.folder}' keeps everything")

    def drain(self, timeout_s: float) -> bool:
        """Wait until the spool is empty; False when it is not in time. Raises as ``check`` does."""
        slice_s = 0.05
        for _ in range(max(int(timeout_s / slice_s), 1)):
            self.check()
            if len(self._spool) == 0:
                return True
            self._stopping.wait(slice_s)
        return len(self._spool) == 0

    def stop(self) -> None:
        """End the thread after the request in flight; a second call does nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        n_failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    is_idle = self._round()
                    n_failures, self.last_trouble = 0, None
                except _Unavailable as wrong:
                    self._spool.release()
                    is_barred = isinstance(wrong, _Barred)
                    if is_barred and str(wrong) != self.last_trouble:
                        _logger.warning("%s", wrong)
                    n_failures, self.last_trouble = n_failures + 1, str(wrong)
                    self._stopping.wait(self._barred_s if is_barred else self._backoff.wait_s(n_failures))
                    continue
                if is_idle:
                    self._spool.wait(0.2)
        except Exception as wrong:  # outermost loop of the thread: ``check`` raises it in the worker
            self._failure = wrong

    def _round(self) -> bool:
        """Deliver one batch; True when there was none."""
        items = self._spool.peek()
        if not items:
            return self._spool.declare_losses() == 0
        self._deliver(items)
        self._spool.declare_losses()
        return False

    def _deliver(self, items: Sequence[SpoolItem]) -> None:
        for item in items:
            self._put_crop(item)
        self._post(items)
        self._spool.acknowledge(items[-1].id)

    def _put_crop(self, item: SpoolItem) -> None:
        if item.crop is None:
            return
        response = self._request(
            "PUT",
            f"/crops/{item.crop.id}",
            params={"tracklet": item.tracklet or ""},
            content=item.crop.jpeg,
            headers={"content-type": "image/jpeg"},
        )
        if response.status_code in _CROP_REFUSED:
            self._spool.lose_crop(item, f"service answered {response.status_code}")
        elif not response.is_success:
            self._refuse(response)

    def _post(self, items: Sequence[SpoolItem]) -> None:
        response = self._request(
            "POST",
            "/observations",
            content=b"".join(item.line + b"\n" for item in items),
            headers={"content-type": "application/x-ndjson"},
        )
        if response.is_success:
            self._read_receipts(items, response)
        elif response.status_code not in _BATCH_REFUSED:
            self._refuse(response)
        elif len(items) == 1:
            self._spool.park(items[0], detail(response))
        else:
            middle = len(items) // 2
            self._post(items[:middle])
            self._post(items[middle:])

    def _read_receipts(self, items: Sequence[SpoolItem], response: httpx2.Response) -> None:
        try:
            receipts = msgspec.json.decode(response.content, type=_Receipts).receipts
        except msgspec.DecodeError as wrong:
            raise BadInput(f"{response.url} answered 2xx without receipts ({wrong}); is it the twin's service?") from None
        if len(receipts) != len(items):
            raise BadInput(f"{response.url} gave {len(receipts)} receipts for {len(items)} observations; is it the twin's?")
        for item, receipt in zip(items, receipts, strict=True):
            if receipt.outcome == "refused":
                self._spool.park(item, "other content is stored under this device key")
            elif receipt.outcome == "expired":
                self.n_expired += 1  # stored long ago, or far too late: sent again it would be refused again
            else:
                self.n_delivered += 1

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            response = self._client.request(method, self._base + path, **options)
        except httpx2.TransportError as wrong:
            raise _Unavailable(f"{self._base} cannot be reached: {wrong or type(wrong).__name__}") from None
        except httpx2.InvalidURL as wrong:
            raise BadInput(f"'{self._base}' is no address: {wrong}; check --log") from None
        if response.status_code in (401, 403):
            raise _Barred(
                f"{self._base} does not let this edge in ({response.status_code}: {detail(response)}); put a key with scope"
                " 'ingest' for this site into TWIN_API_KEY and start again. The spool keeps what was seen"
            )
        is_full_of_crops = method == "PUT" and response.status_code == 507
        if response.status_code in (408, 425, 429) or (response.status_code >= 500 and not is_full_of_crops):
            raise _Unavailable(f"{self._base} answered {response.status_code}: {detail(response)}")
        return response

    def _refuse(self, response: httpx2.Response) -> None:
        raise BadInput(
            f"{response.url} answered {response.status_code}: {detail(response)}; correct the address or the site."
            f" The spool '{self._spool.folder}' keeps {len(self._spool)} observations"
        )


def detail(response: httpx2.Response) -> str:
    """The detail of a problem+json body, else the start of the body."""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
        return str(problem.get("detail") or problem.get("title") or problem)[:300]
    except msgspec.DecodeError:
        return response.text[:300].strip() or response.reason_phrase
