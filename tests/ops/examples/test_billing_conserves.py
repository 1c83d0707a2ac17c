"""Stays, payments, plates, permits and closes in any order: each account owes what its stays cost, less what was paid."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from ops.examples.billing.accounts import import_accounts
from ops.examples.billing.book import Book
from ops.examples.billing.invoices import close, of_period
from ops.examples.billing.reconcile import Side, Twin, reconciled, sums_of
from ops.examples.billing.schema import invoices, lines, metadata
from ops.examples.billing.stay import stay_of
from ops.examples.database import opened
from twin.events.codec import rfc3339

from .conftest import MINUTE, NOON, Teller

SESSIONS = ("p1", "p2", "p3")
ACCOUNTS = ("acme", "other", "casual")
BY_PLATE = {"A1": "acme", "B1": "other", "C1": "casual", "D1": "casual"}  # nobody has C1, and D1 is denied credit
PLATES = "account,plate,list\nacme,A1,\nother,B1,allow\nbad payer,D1,deny\n"
minutes = st.integers(0, 60)
stays = st.tuples(
    *(st.just("stay"), st.sampled_from(SESSIONS), st.sampled_from(("closed", "closed", "waived", "doubtful", "open", "void"))),
    *(minutes, st.integers(0, 9), st.sampled_from((None, *BY_PLATE))),
)
payments = st.tuples(st.just("paid"), st.sampled_from(SESSIONS), st.integers(1, 9))
merges = st.tuples(st.just("merged"), st.sampled_from(SESSIONS), st.sampled_from(SESSIONS))
permits = st.tuples(
    *(st.just("permit"), st.sampled_from(ACCOUNTS), st.sampled_from((None, 0, 100, 250))),
    *(st.sampled_from((0, 10, 30)), st.sampled_from((1, 15, 60))),
)
again, closes = st.just(("again",)), st.tuples(st.just("close"), st.booleans())
steps = st.lists(st.one_of(stays, stays, payments, merges, permits, permits, again, closes), min_size=8, max_size=30)


@dataclass
class Truth:
    """What was told, in the plainest form: no lines, no order."""

    stays: dict = field(default_factory=dict)  # session -> the stay as told last
    accounts: dict = field(default_factory=dict)  # session -> account, by the plate that was set last
    paid: Counter = field(default_factory=Counter)
    permits: dict = field(default_factory=dict)  # (account, kind, from) -> (until, most), minutes

    def cost(self, session):
        stay = self.stays[session]
        if stay.status != "closed" or stay.is_waived:
            return 0
        entry, account = (stay.entry_at - NOON) // MINUTE, self.accounts.get(session, "casual")
        of_account = [(begin, *said) for (name, _, begin), said in self.permits.items() if name == account]
        return min([stay.twin_minor, *(most for begin, until, most in of_account if begin <= entry < until)])

    def owed(self):
        found = Counter()
        for session in self.stays:
            found[self.accounts.get(session, "casual")] += self.cost(session) - self.paid[session]
        return {account: amount for account, amount in found.items() if amount}


class Desk:
    """Does each step to a book, and tells it to the truth."""

    def __init__(self, engine, folder):
        self.engine, self.path, self.teller, self.truth = engine, folder / "accounts.csv", Teller(engine, Book()), Truth()
        self.versions, self.told_payments, self.closed = Counter(), [], {}
        self.path.write_text(PLATES)
        self.again()

    def do(self, step):
        getattr(self, step[0])(*step[1:])

    def again(self):
        with self.engine.begin() as connection:
            n_before = connection.scalar(select(func.count()).select_from(lines))
            import_accounts(connection, self.path, Book())
            assert connection.scalar(select(func.count()).select_from(lines)) == n_before

    def stay(self, session, what, entry, hundreds, plate):
        self.versions[session] += 1
        if self.versions[session] == 1:
            self.truth.stays[session] = stay_of(self.teller.opened(session, entry).fact.payload)
            return
        more = {"flags": ("unverified",), "final_at": None} if what == "doubtful" else {}
        told = self.teller.amended(
            session,
            version=self.versions[session],
            status=what if what in ("open", "void") else "closed",
            entry=entry,
            exit=entry + 5,
            amount=0 if what == "waived" else 100 * hundreds,
            plate=plate,
            is_waived=what == "waived",
            paid_minor=self.truth.paid[session],
            **more,
        )
        self.truth.stays[session] = stay_of(told.fact.payload)
        if plate is not None:
            self.truth.accounts[session] = BY_PLATE[plate]

    def paid(self, session, hundreds):
        if session not in self.truth.stays:
            return
        self.truth.paid[session] += 100 * hundreds
        name = f"till-{len(self.told_payments)}"
        self.told_payments.append((session, "payment", -100 * hundreds, "EUR", name))
        self.teller.paid(session, 100 * hundreds, name, total=self.truth.paid[session])

    def merged(self, gone, kept):
        if gone == kept or not {gone, kept} <= self.truth.stays.keys():
            return
        moved = self.truth.paid.pop(gone, 0)
        self.truth.paid[kept] += moved
        self.told_payments += [(gone, "transfer", moved, "EUR", ""), (kept, "transfer", -moved, "EUR", "")]
        self.stay(gone, "void", 0, 0, None)
        self.stay(kept, "closed", 0, 4, None)

    def permit(self, account, most, begin, lasts):
        kind = "free" if most is None else "flat"
        self.truth.permits[account, kind, begin] = (begin + lasts, most or 0)
        times = ",".join(rfc3339(NOON + at * MINUTE) for at in (begin, begin + lasts))
        self.path.write_text(f"account,permit,from,until,flat_minor\n{account},{kind},{times},{'' if most is None else most}\n")
        with self.engine.begin() as connection:
            import_accounts(connection, self.path, Book())

    def close(self, holds_doubtful):
        period, until_at = f"period {len(self.closed)}", NOON + (5 + 10 * len(self.closed)) * MINUTE
        with self.engine.begin() as connection:
            made = close(connection, period, until_at, until_at, is_caught_up=True, holds_doubtful=holds_doubtful)
        self.closed[period] = made

    def check(self):
        with self.engine.begin() as connection:
            found = connection.execute(select(lines)).all()
            totals = {row.invoice: (row.account, row.total_minor) for row in connection.execute(select(invoices))}
            assert {period: of_period(connection, period) for period in self.closed} == self.closed
            side = Side(stays=self.truth.stays, sums=sums_of(self.told_payments))
            report = reconciled(connection, Book(), "lot", Twin(position=self.teller.position, side=side, n_parked=0))
        assert report.findings == ()
        assert report.charged_minor.get("EUR", 0) == sum(self.truth.cost(session) for session in self.truth.stays)
        for name, (account, total) in totals.items():
            on_it = [one for one in found if one.invoice == name]
            assert (sum(one.amount_minor for one in on_it), {one.account for one in on_it}) == (total, {account})
        of_account = Counter()
        for account, total in totals.values():
            of_account[account] += total
        for one in found:
            if one.invoice is None:
                of_account[one.account] += one.amount_minor
        assert {account: amount for account, amount in of_account.items() if amount} == self.truth.owed()


@settings(max_examples=25, deadline=None)
@given(steps)
def test_each_account_owes_what_its_stays_cost_less_what_was_paid_for_them(tmp_path_factory, given_steps):
    engine = opened("sqlite://", metadata)
    desk = Desk(engine, tmp_path_factory.mktemp("desk"))
    for step in given_steps:
        desk.do(step)
        desk.check()
    engine.dispose()
