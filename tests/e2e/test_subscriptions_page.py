"""The Subscriptions page: how far each taker of facts is, and what a person can and may do about it."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from accessibility import faults
from billed_day import SITE
from playwright.sync_api import Browser, Page, expect
from standardwebhooks import Webhook

from twin.access.keys import KeyRecord, new_key
from twin.access.store import AccessStore
from twin.log.clock import system_clock

pytestmark = pytest.mark.e2e

ROOT = f"/v1/sites/{SITE}"
SCOPES = {"Looker": ("read",), "Operator": ("read", "operate"), "Admin": ("read", "operate", "admin")}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
SOON = 20_000
LOOKED_AT = """(isSeen) => {
    Object.defineProperty(document, 'hidden', { value: !isSeen, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


class Endpoint:
    """A receiver on a socket of its own: keeps what comes, and answers with ``status``."""

    def __init__(self) -> None:
        self.status = 204
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.url = ""


@pytest.fixture(scope="module")
def keys(hooked: tuple[str, Path]) -> dict[str, str]:
    """A key for each of ``SCOPES``, by its name."""
    store, made = AccessStore.open(hooked[1] / "access.db"), {name: new_key(os.urandom) for name in SCOPES}
    for name, key in made.items():
        store.add_key(
            KeyRecord(id=key.id, name=name, sites=(SITE,), scopes=SCOPES[name], digest=key.digest, made_at=system_clock())
        )
    store.close()
    return {name: key.text for name, key in made.items()}


@pytest.fixture(scope="module")
def ask(hooked: tuple[str, Path], keys: dict[str, str]) -> Callable[..., httpx2.Response]:
    """``ask(method, path, body, key=)``: what the API answers, once all of the day is concluded."""

    def asked(method: str, path: str, body: dict | None = None, *, key: str = "Admin") -> httpx2.Response:
        headers = {"authorization": f"Bearer {keys[key]}"}
        answer = httpx2.request(method, f"{hooked[0]}{ROOT}/{path}", headers=headers, json=body, timeout=30)
        return answer.raise_for_status()

    _until_folded(hooked[0], {"authorization": f"Bearer {keys['Admin']}"})
    return asked


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with _listening(Endpoint()) as one:
        yield one


@contextmanager
def _listening(one: Endpoint) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one.received.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(one.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing: what came is kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}/twin"
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@pytest.fixture
def opened(browser: Browser, hooked: tuple[str, Path], keys: dict[str, str], console_faults: list[str]) -> Iterator[Callable]:
    """``opened(key, **shape)``: the page for somebody who has logged in; all must end without complaints."""
    contexts = []

    def open_page(key: str = "Admin", scheme: str = "light", kind: str = "", name: str = "", **shape) -> Page:
        context = browser.new_context(base_url=hooked[0], color_scheme=scheme, **{**DESK, **shape})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda told: console_faults.append(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
        page.goto(f"/login?next=/subscriptions%3Fsite={SITE}%26kind={kind}%26name={name}")
        page.get_by_label("API key").fill(keys[key])
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("main")).to_have_attribute("data-shown", "true", timeout=SOON)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert console_faults == []


@pytest.fixture(scope="module")
def parked(ask: Callable) -> Iterator[str]:
    """A subscription with two parked events."""
    ask("PUT", "subscriptions/billing", {"after": "0", "types": ["session.opened.v1", "session.closed.v1"], "most_attempts": 1})
    for _ in range(2):  # what is parked at once is handed out alone
        lease = ask("POST", "subscriptions/billing/lease", {}).json()
        (event,) = (one["event"] for one in lease["deliveries"])
        refusal = {"lease": lease["lease"], "position": event["position"], "reason": f"no account for {event['subject']}"}
        ask("POST", "subscriptions/billing/refuse", refusal)
    yield "billing"
    ask("DELETE", "subscriptions/billing")


def _until_folded(origin: str, headers: dict[str, str]) -> None:
    """Until the day is concluded: nothing waits to be folded, and no fact came for a second."""
    head, n_same = None, 0
    for _ in range(600):
        lag = re.search(r"^twin_fold_lag{.*} (\S+)$", httpx2.get(f"{origin}/metrics", headers=headers, timeout=30).text, re.M)
        told = httpx2.get(f"{origin}{ROOT}/facts", params={"limit": 1}, headers=headers, timeout=30).json()["head"]
        is_folded = lag is not None and float(lag[1]) == 0.0 and told != "0"
        head, n_same = told, n_same + 1 if told == head and is_folded else 0
        if n_same >= 5:
            return
        threading.Event().wait(0.2)
    pytest.fail("the day was not folded")


def row(page: Page, name: str):
    return page.locator(f"#list tr[data-feed='{name}']")


def pair_of(page: Page, name: str):
    return page.locator("#one-facts dt", has_text=name).first.locator("+ dd")


def test_each_taker_of_facts_is_listed_as_the_api_has_it(opened, ask, parked: str):
    page = opened()
    told = ask("GET", f"subscriptions/{parked}").json()
    expect(row(page, parked)).to_contain_text("parked")
    expect(row(page, parked).locator("[data-name=Behind]")).to_have_text(str(told["lag"]))
    expect(row(page, parked).locator("[data-name=Parked]")).to_have_text("2")
    expect(row(page, parked).locator("[data-name='Made by']")).to_have_text("Admin")
    row(page, parked).get_by_role("link").click()
    expect(page.locator("#one-title")).to_be_focused()
    expect(pair_of(page, "Takes")).to_have_text("session.opened.v1, session.closed.v1")
    expect(page.locator("#one-parked tbody tr")).to_have_count(2)
    for one in told["parked"]:
        expect(page.locator(f"#one-parked tr[data-position='{one['position']}']")).to_contain_text(
            f"session.opened.v1 of {one['subject']}"
        )
        expect(page.locator(f"#one-parked tr[data-position='{one['position']}']")).to_contain_text(
            f"no account for {one['subject']}"
        )


def test_what_waits_for_longer_than_what_is_kept_is_told_as_that(opened, ask, parked: str):
    told = ask("GET", "subscriptions").json()
    told["standings"] = [{**one, "lag_s": None} for one in told["standings"]]
    page = opened()
    page.route("**/subscriptions", lambda route: route.fulfill(json=told))
    page.reload()
    expect(row(page, parked).locator("[data-lag-s]")).to_have_text("longer than what is kept")
    expect(row(page, parked)).to_contain_text("behind")


def test_how_long_the_oldest_waits_grows_and_nothing_is_asked_while_nobody_looks(opened, ask, parked: str):
    told = ask("GET", "subscriptions").json()
    told["standings"] = [{**one, "lag_s": 10.0} for one in told["standings"]]
    page = opened()
    page.route("**/subscriptions", lambda route: route.fulfill(json=told))
    page.clock.install()
    page.reload()
    shown = row(page, parked).locator("[data-lag-s]")
    expect(shown).to_have_text(re.compile(r"\d+ s"))
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 2"))
    seen = []
    for _ in range(4):  # it is asked again once at most, and then as long as it was
        page.clock.run_for(1_000)
        seen.append(shown.inner_text())
    assert len(set(seen)) >= 3, seen
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(LOOKED_AT, False)
    page.clock.run_for(120_000)
    assert asked == []
    assert shown.inner_text() == seen[-1]
    with page.expect_response("**/subscriptions"):
        page.evaluate(LOOKED_AT, True)


def test_giving_up_says_what_it_means_and_does_it_only_when_confirmed(opened, ask, parked: str):
    page = opened("Operator", kind="subscriptions", name=parked)
    first, second = (one["position"] for one in ask("GET", f"subscriptions/{parked}").json()["parked"])
    page.get_by_role("button", name=f"Give up position {first}").click()
    expect(page.locator("#confirm-text")).to_contain_text(f"position {first}, is not delivered to {parked}")
    expect(page.locator("#confirm-text")).to_contain_text("stays in the log")
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    assert ask("GET", f"subscriptions/{parked}").json()["n_parked"] == 2
    page.get_by_role("button", name=f"Give up position {first}").click()
    page.get_by_role("button", name="Give it up").click()
    expect(page.locator("#outcome")).to_have_text(f"Position {first} is given up.")
    expect(page.locator("#one-parked tbody tr")).to_have_count(1)
    page.get_by_role("button", name=f"Retry position {second}").click()
    expect(page.locator("#one-parked")).to_contain_text("None: nothing failed too often.")
    told = ask("GET", f"subscriptions/{parked}").json()
    assert (told["n_parked"], told["n_discarded"]) == (0, 1)


def test_a_range_is_replayed_once_it_is_confirmed(opened, ask):
    ask("PUT", "subscriptions/again", {"after": "0", "types": ["session.opened.v1"]})
    while (lease := ask("POST", "subscriptions/again/lease", {}).json())["lease"]:
        done = [one["event"]["position"] for one in lease["deliveries"]]
        ask("POST", "subscriptions/again/acknowledge", {"lease": lease["lease"], "positions": done})
    last = done[-1]
    page = opened("Operator", kind="subscriptions", name="again")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#outcome")).to_have_text("Say where the replay begins.")
    page.get_by_label("After position").last.fill(str(int(last) - 1))
    page.get_by_label("Until position").fill(last)
    page.get_by_role("form", name="Replay").get_by_role("button").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#outcome")).to_have_text("The range is delivered again.")
    lease = ask("POST", "subscriptions/again/lease", {}).json()
    assert [one["event"]["position"] for one in lease["deliveries"]] == [last]
    page.goto("about:blank")
    ask("DELETE", "subscriptions/again")


def test_a_subscription_is_paused_and_resumed_by_who_may_operate(opened, ask):
    ask("PUT", "subscriptions/night", {"after": "0", "types": ["session.opened.v1"]})
    page = opened("Operator", kind="subscriptions", name="night")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#outcome")).to_have_text("Paused: nothing is handed out until it is resumed.")
    expect(row(page, "night")).to_contain_text("paused")
    expect(page.locator("#one-facts")).to_contain_text("Resume it to hand it out again.")
    assert ask("POST", "subscriptions/night/lease", {}).json()["deliveries"] == []
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert ask("POST", "subscriptions/night/lease", {}).json()["deliveries"] != []
    page.goto("about:blank")
    ask("DELETE", "subscriptions/night")


def test_a_webhook_is_made_tested_paused_rotated_and_deleted_and_its_secret_is_shown_once(opened, ask, endpoint: Endpoint):
    page = opened()
    page.get_by_text("Make one, or change one").click()
    page.get_by_label("Kind").select_option("webhooks")
    page.get_by_label("Name", exact=True).fill("bills")
    page.get_by_role("textbox", name="Address").fill(endpoint.url)
    page.get_by_label("Types").fill("session.closed.v1")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#one-title")).to_have_text("Webhook bills")
    secret = page.locator("#secrets code").inner_text()
    assert secret.startswith("whsec_")
    expect(page.locator("#secrets strong")).to_have_text("bills")
    page.go_back()
    expect(page.locator("#one")).to_be_hidden()
    assert page.locator("#secrets code").inner_text() == secret, "it stays until it is kept, whatever is opened"
    page.go_forward()
    expect(page.locator("#one-title")).to_have_text("Webhook bills")
    page.get_by_role("button", name="I have kept it").click()
    expect(page.locator("#secrets code")).to_have_count(0)
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#outcome")).to_contain_text("The test was delivered: the endpoint answered 204")
    body, headers = endpoint.received[-1]
    assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
    endpoint.status = 500
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#outcome")).to_contain_text("The test was failed: the endpoint answered 500")
    expect(page.locator("#one-deliveries tbody tr")).to_have_count(2)
    endpoint.status = 204
    page.get_by_role("button", name="Pause").click()
    expect(row(page, "bills")).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(row(page, "bills")).to_contain_text("up to date")
    page.get_by_role("button", name="New secret").click()
    page.locator("#confirm-yes").click()
    newer = page.locator("#secrets code").inner_text()
    assert newer not in ("", secret)
    page.reload()
    expect(page.locator("#one-title")).to_have_text("Webhook bills")
    assert not {secret, newer} & set(page.content().split(">"))
    assert secret not in page.content()
    assert newer not in page.content()
    page.locator("#one-actions").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(row(page, "bills")).to_have_count(0)
    assert ask("GET", "webhooks").json() == {"webhooks": []}


def test_deliveries_are_told_with_their_events_and_times_are_replayed(opened, ask, endpoint: Endpoint):
    ask("PUT", "webhooks/stays", {"url": endpoint.url, "types": ["session.opened.v1"], "after": "0"})
    page = opened(kind="webhooks", name="stays")
    expect(page.locator("#one-deliveries")).to_contain_text("session.opened.v1", timeout=SOON)
    told = ask("GET", "webhooks/stays/deliveries?limit=50").json()["deliveries"]
    expect(page.locator("#one-deliveries tbody tr")).to_have_count(len(told), timeout=SOON)
    n_sent = len(endpoint.received)
    page.get_by_label("By").select_option("times")
    page.get_by_label("From", exact=True).fill("2020-01-01T00:00:00")
    page.get_by_role("form", name="Replay").get_by_role("button").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#outcome")).to_have_text("The range is delivered again.")
    expect(pair_of(page, "So far")).to_contain_text(f"{2 * n_sent} done", timeout=SOON)
    assert len(endpoint.received) == 2 * n_sent
    page.goto("about:blank")
    ask("DELETE", "webhooks/stays")


def test_who_may_not_is_told_so_and_the_service_refuses(
    opened, ask, parked: str, endpoint: Endpoint, console_faults: list[str]
):
    ask("PUT", "webhooks/chat", {"url": endpoint.url})
    page = opened("Looker", kind="webhooks", name="chat")
    expect(page.locator("#rights")).to_contain_text(
        "The key “Looker” may look. It may not replay, pause, retry, give up and delete (operate)"
    )
    expect(pair_of(page, "Address")).to_have_text(f"{endpoint.url.rsplit('/', 1)[0]}/…")
    page.get_by_role("button", name="Pause needs admin").click()
    expect(page.locator("#outcome")).to_contain_text("Not allowed (403): key '")
    expect(page.locator("#outcome")).to_contain_text("it takes scope 'admin'")
    assert ask("GET", "webhooks/chat").json()["state"] == "active"
    page.goto("about:blank")
    ask("DELETE", "webhooks/chat")
    console_faults[:] = [one for one in console_faults if "403" not in one]


def test_what_is_gone_is_said_to_be_and_a_wrong_name_is_refused_where_it_was_written(opened, console_faults: list[str]):
    page = opened(kind="webhooks", name="nowhere")
    expect(page.locator("#one")).to_contain_text("has no webhook 'nowhere'")
    page.get_by_text("Make one, or change one").click()
    page.get_by_label("Name", exact=True).fill("x")
    page.get_by_label("Types").fill("session.imagined.v1")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#made")).to_contain_text("session.imagined.v1")
    page.goto("about:blank")  # else it is asked for again
    console_faults[:] = [one for one in console_faults if "404" not in one and "422" not in one]


@pytest.mark.parametrize(("scheme", "shape"), [("dark", DESK), ("light", DESK), ("light", PHONE)])
def test_it_has_no_serious_accessibility_fault_with_something_opened(
    opened, ask, parked: str, endpoint: Endpoint, weak_text: str, scheme: str, shape: dict
):
    ask("PUT", "webhooks/bills", {"url": endpoint.url, "types": ["session.closed.v1"], "after": "0"})
    for kind, name in (("webhooks", "bills"), ("subscriptions", parked)):
        page = opened(scheme=scheme, kind=kind, name=name, **shape)
        expect(page.locator("#one")).to_have_attribute("data-opened", name)
        page.locator("#making").evaluate("(details) => { details.open = true; }")
        assert faults(page, weak_text) == []
        page.locator("#one-actions").get_by_role("button", name="Delete").click()
        assert page.evaluate(weak_text) == []
        page.keyboard.press("Escape")
        page.goto("about:blank")  # else it is asked for again once it is gone
    ask("DELETE", "webhooks/bills")


def test_the_picture_for_the_documentation(opened, ask, parked: str, endpoint: Endpoint):
    for name, types in (("bills", ["session.closed.v1"]), ("gate-north", ["gate.decided.v1"])):
        ask("PUT", f"webhooks/{name}", {"url": endpoint.url, "types": types, "after": "0"})
    ask("POST", "webhooks/gate-north/pause")
    page = opened(kind="webhooks", name="bills")
    expect(page.locator("#one-deliveries tbody tr").nth(3)).to_be_visible(timeout=SOON)
    expect(row(page, "bills")).to_contain_text("up to date", timeout=SOON)
    picture = page.screenshot(type="jpeg", quality=72)
    assert 20_000 < len(picture) < 150_000
    if folder := os.environ.get("PAGES_SCREENSHOTS_TO"):
        Path(folder, "subscriptions.jpg").write_bytes(picture)
    page.goto("about:blank")
    for name in ("bills", "gate-north"):
        ask("DELETE", f"webhooks/{name}")
