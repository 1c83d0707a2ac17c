"""What Prometheus reads at ``/metrics``. One registry an application, so that two of them in a process do not mix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.events.ids import SECOND, SiteId
from twin.feeds.subscriber import Slowness
from twin.feeds.subscriptions import Standing
from twin.feeds.webhooks import WebhookStanding
from twin.log.port import Heads, Outcome, Receipt
from twin.log.webhooks import PREFIX, Attempt, AttemptOutcome

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")  # a label of its own for each; clients may invent more

_GATE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_ATTEMPT_OUTCOMES: tuple[AttemptOutcome, ...] = get_args(AttemptOutcome)


class Metrics:
    """Counts of one process."""

    def __init__(self, sites: Iterable[SiteId] = ()) -> None:
        """
        Args:
            sites: those that are served. What is counted of them by its outcome begins at 0: a series that appears with its
                first count has no increase.
        """
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "twin_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._request_s = Histogram(
            "twin_http_request_seconds", "Time to answer a request", ["method", "route"], registry=self.registry
        )
        self._observations = Counter("twin_observations", "Observations given", ["site", "outcome"], registry=self.registry)
        self._head = Gauge("twin_log_head", "Last position of a site's log", ["site", "log"], registry=self.registry)
        self._lag = Gauge("twin_fold_lag", "Observations that are not folded yet", ["site"], registry=self.registry)
        self._live = Gauge("twin_live_clients", "Clients of the live feed", ["site"], registry=self.registry)
        self._conflated = Counter(
            "twin_live_conflations", "Times that a slow client got one delta for many", ["site"], registry=self.registry
        )
        self._too_slow = Counter("twin_live_too_slow", "Clients closed with 4008", ["site"], registry=self.registry)
        self._told_slow: dict[SiteId, tuple[int, int]] = {}
        of_one = ["site", "subscription"]
        self._behind = Gauge("twin_subscription_lag", "Facts after the last acknowledged", of_one, registry=self.registry)
        self._camera = Gauge(
            "twin_camera_delivers", "1 while a camera delivers, else 0", ["site", "camera"], registry=self.registry
        )
        self._ready = Gauge("twin_ready", "1 while requests should be sent here", registry=self.registry)
        self._free = Gauge("twin_disk_free_bytes", "Free where the data folder is", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self._parked = Gauge("twin_subscription_parked", "Facts that failed too often", of_one, registry=self.registry)
        of_hook = ["site", "webhook"]
        self._sent = Counter(
            "twin_webhook_attempts", "Requests to webhooks' endpoints", [*of_hook, "outcome"], registry=self.registry
        )
        self._send_s = Histogram("twin_webhook_seconds", "Time to an endpoint's answer", of_hook, registry=self.registry)
        self._hook_lag = Gauge("twin_webhook_lag", "Facts after the last delivered", of_hook, registry=self.registry)
        self._hook_parked = Gauge("twin_webhook_parked", "Facts that failed too often", of_hook, registry=self.registry)
        self._gate_s = Histogram(
            "twin_gate_decision_seconds",
            "From the commit of a question at a gate to that of its answer",
            ["site"],
            buckets=_GATE_S,
            registry=self.registry,
        )
        self._paused = Gauge("twin_subscription_paused", "1: a person paused it", of_one, registry=self.registry)
        self._hook_paused = Gauge("twin_webhook_paused", "1: a person paused it", of_hook, registry=self.registry)
        self._hook_off = Gauge("twin_webhook_disabled", "1: its endpoint wants no more", of_hook, registry=self.registry)
        for site in sites:
            self._gate_s.labels(site)
            for outcome in Outcome:
                self._observations.labels(site, outcome.value)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is its path's pattern."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.labels(method, route).observe(seconds)

    def ingested(self, site: SiteId, receipts: Sequence[Receipt]) -> None:
        """Count what became of given observations."""
        for receipt in receipts:
            self._observations.labels(site, receipt.outcome.value).inc()

    def gate_answered(self, site: SiteId, seconds: float) -> None:
        """Time one answer at a gate."""
        self._gate_s.labels(site).observe(seconds)

    def stands_at(self, site: SiteId, heads: Heads, lag: float, n_live: int) -> None:
        """Note how far a site's logs and fold are, and who watches; a lag that is not known is NaN."""
        self._head.labels(site, "observations").set(heads.observations)
        self._head.labels(site, "facts").set(heads.facts)
        self._lag.labels(site).set(lag)
        self._live.labels(site).set(n_live)

    def live_stands(self, site: SiteId, slowness: Slowness) -> None:
        """Note how often clients of a site's live feed did not keep up since it began."""
        before = self._told_slow.get(site, (0, 0))
        self._told_slow[site] = now = slowness.n_conflated, slowness.n_too_slow
        for counter, was, n_times in zip((self._conflated, self._too_slow), before, now, strict=True):
            counter.labels(site).inc(n_times - was)

    def subscribed(self, standings: Iterable[Standing]) -> None:
        """Note how far all subscriptions are, but for webhooks' own; one that is not among them is not told any more."""
        for gauge in (self._behind, self._parked, self._paused):
            gauge.clear()
        for one in standings:
            if one.subscription.name.startswith(PREFIX):
                continue  # told as a webhook
            of = one.subscription.site, one.subscription.name
            self._behind.labels(*of).set(one.lag)
            self._paused.labels(*of).set(one.subscription.paused_at is not None)
            self._parked.labels(*of).set(one.tally.parked)

    def stands(self, *, is_ready: bool, free_bytes: float) -> None:
        """Note how the process stands."""
        self._ready.set(is_ready)
        self._free.set(free_bytes)

    def delivering(self, site: SiteId, is_active: Mapping[str, bool]) -> None:
        """Note which cameras of a site deliver."""
        for camera, delivers in is_active.items():
            self._camera.labels(site, camera).set(delivers)

    def sent(self, site: SiteId, webhook: str, attempt: Attempt) -> None:
        """Count and time one request to a webhook's endpoint."""
        self._sent.labels(site, webhook, attempt.outcome).inc()
        self._send_s.labels(site, webhook).observe(attempt.duration_us / SECOND)

    def webhooks_stand(self, standings: Iterable[WebhookStanding]) -> None:
        """Note how far all webhooks are; one that is not among them is not told any more."""
        for gauge in (self._hook_lag, self._hook_parked, self._hook_paused, self._hook_off):
            gauge.clear()
        for one in standings:
            of = one.webhook.site, one.webhook.name
            for outcome in _ATTEMPT_OUTCOMES:
                self._sent.labels(*of, outcome)
            self._hook_paused.labels(*of).set(one.webhook.state == "paused")
            self._hook_lag.labels(*of).set(one.standing.lag)
            self._hook_parked.labels(*of).set(one.standing.tally.parked)
            self._hook_off.labels(*of).set(one.webhook.state == "disabled")

    def text(self, may_read: Callable[[str], bool] = lambda _: True) -> bytes:
        """In Prometheus' text format; of sites, of those that may be read alone."""
        return generate_latest(cast(CollectorRegistry, _Readable(self.registry, may_read)))


class _Readable:
    """What a registry collects, without samples of sites that are not to be told."""

    def __init__(self, registry: CollectorRegistry, may_read: Callable[[str], bool]) -> None:
        self._registry = registry
        self._may_read = may_read

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if "site" not in one.labels or self._may_read(one.labels["site"])]
            yield metric


class MeasureRequests:
    """Middleware: counts and times every HTTP request under the pattern of its route."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then count; a request that broke counts as 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        start_s = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.answered(method, route, status, time.perf_counter() - start_s)
