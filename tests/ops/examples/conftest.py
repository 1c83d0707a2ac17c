"""A book and a journal in files, and facts as a subscription delivers them."""

import pytest
from sqlalchemy import select

from ops.examples.billing import schema
from ops.examples.billing.accounts import import_accounts
from ops.examples.billing.book import Book
from ops.examples.billing.invoices import close
from ops.examples.database import opened
from twin.client import Event
from twin.events.envelope import FactEvent
from twin.events.facts import PaymentBooked, SessionAmended, SessionClosed, SessionOpened, SessionOrphaned

NOON = 1_767_268_800_000_000
MINUTE = 60_000_000


@pytest.fixture
def engine(tmp_path):
    made = opened(f"sqlite:///{tmp_path / 'bills.db'}", schema.metadata)
    yield made
    made.dispose()


def book_of(engine, session="p1"):
    """A stay's lines in the book: (kind, amount, account)."""
    lines = schema.lines
    with engine.begin() as connection:
        found = connection.execute(select(lines).where(lines.c.session == session).order_by(lines.c.n)).all()
    return [(one.kind, one.amount_minor, one.account) for one in found]


def closed(engine, period, until, now=None, *, is_caught_up=True, **given):
    """Close a period; its invoices by name. Times are minutes after noon; now is the end, unless it is given."""
    with engine.begin() as connection:
        until_at, at = NOON + until * MINUTE, NOON + (until if now is None else now) * MINUTE
        made = close(connection, period, until_at, at, is_caught_up=is_caught_up, **given)
    return {one.invoice: one for one in made}


@pytest.fixture
def imported(engine, tmp_path):
    """Takes the text or bytes of a CSV of accounts, into a book that rates by a plan, or by the twin's amounts."""

    def take(text, plan=None):
        path = tmp_path / "accounts.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with engine.begin() as connection:
            return import_accounts(connection, path, Book(plan))

    return take


class Teller:
    """Tells a book facts of a site; times are minutes after noon of 1 January 2026 UTC."""

    def __init__(self, engine, book):
        self.engine, self.book, self.position = engine, book, 0

    def tell(self, payload, plate=None, *, position=None):
        self.position = position or self.position + 1
        fact = FactEvent(
            site="lot", fold_version="1", cause=self.position, ordinal=0, occurred_at=NOON + self.position, payload=payload
        )
        event = Event(
            id=fact.id,
            type="",
            position=self.position,
            recorded_at=NOON,
            fact=fact,
            n_attempts=1,
            attributes={"site": "lot"},
        )
        with self.engine.begin() as connection:
            if schema.inbox.is_first(connection, event):
                self.book.enter(connection, event, plate)
        return event

    def opened(self, session="p1", entry=0, **more):
        return self.tell(
            SessionOpened(
                session=session,
                vehicle=f"v-{session}",
                portal="entry",
                entry_at=NOON + entry * MINUTE,
                confidence=1.0,
                **{"tariff": "public@1", **more},
            )
        )

    def closed(self, session="p1", entry=0, exit=60, amount=200, **more):
        fields = {"tariff": "public@1", "currency": "EUR", "amount_minor": amount, "final_at": NOON + exit * MINUTE, **more}
        return self.tell(
            SessionClosed(
                session=session,
                vehicle=f"v-{session}",
                portal="exit",
                entry_at=NOON + entry * MINUTE,
                exit_at=NOON + exit * MINUTE,
                confidence=1.0,
                **fields,
            )
        )

    def amended(self, session="p1", version=3, status="closed", was="closed", entry=0, exit=60, amount=200, plate=None, **more):
        is_over = status == "closed"
        fields = {
            "reason": "operator",
            "tariff": "public@1",
            "currency": "EUR" if is_over else None,
            "amount_minor": amount if is_over else None,
            "final_at": NOON + exit * MINUTE if is_over else None,
            "plate": None if plate is None else "decision",
            **more,
        }
        return self.tell(
            SessionAmended(
                session=session,
                vehicle=f"v-{session}",
                version=version,
                status=status,
                was=was,
                entry_at=NOON + entry * MINUTE,
                exit_at=NOON + exit * MINUTE if is_over else None,
                **fields,
            ),
            plate,
        )

    def orphaned(self, session="p9", exit=5):
        return self.tell(SessionOrphaned(session=session, vehicle=f"v-{session}", portal="exit", exit_at=NOON + exit * MINUTE))

    def paid(self, session="p1", amount=200, payment="till-1", fate="credited", total=None):
        return self.tell(
            PaymentBooked(
                payment=payment,
                session=session,
                fate=fate,
                amount_minor=amount,
                currency="EUR",
                paid_at=NOON,
                paid_minor=amount if total is None else total,
                observation="o1",
            )
        )


@pytest.fixture
def teller(engine):
    """``teller(plan)`` tells a book that rates by this plan, or by the twin's amounts."""
    return lambda plan=None: Teller(engine, Book(plan))
