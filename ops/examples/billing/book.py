"""The book: what a fact of the twin, a code or a person's review adds to it, in the transaction of whoever calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from ops.examples.billing.plan import Permit, Plan, Validation, rated
from ops.examples.billing.schema import codes, lines, permits, plates, reviews, stay_accounts, versions
from ops.examples.billing.stay import Stay, stay_of
from ops.examples.plate import plain
from twin.client import Event
from twin.errors import BadInput
from twin.events.facts import PaymentBooked, SessionAmended, SessionClosed

CASUAL = "casual"
"""The account of whoever has none."""


class Book:
    """Rates stays by one plan, and by the twin's own amounts where there is none."""

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan = plan

    def enter(self, connection: Connection, event: Event, plate: str | None = None) -> None:
        """What a fact adds. It comes once, as the inbox sees to it; a stay is billed by its latest version.

        A subscription keeps the facts of one stay in order, unless a person gives one up that is parked and has it sent again:
        then it comes after later ones, and changes only what they leave open.

        Args:
            plate: the number plate that the fact says was set; it is not kept, the account that has it is.
        """
        fact = None if event.fact is None else event.fact.payload
        if isinstance(fact, PaymentBooked):
            _receive(connection, event, fact)
            self._settle(connection, event, fact.session)
        elif (stay := stay_of(fact)) is not None:
            connection.execute(versions.insert().values(position=event.position, fact=event.id, **msgspec.structs.asdict(stay)))
            latest, position = latest_of(connection, stay.session)
            if plate is not None and (latest == stay or account_of(connection, stay.session) == CASUAL):
                assign(connection, stay.session, plate)
            self._rate(connection, latest, position, event.id)
            if isinstance(fact, SessionClosed | SessionAmended):
                self._settle(connection, event, stay.session)

    def validate(self, connection: Connection, code: str, session: str) -> None:
        """Use a shop's code for a stay, once.

        Raises:
            BadInput: there is no such code or stay, or one of them has the other already.
        """
        found = connection.execute(select(codes).where(codes.c.code == code)).first()
        if found is None:
            raise BadInput(f"there is no code '{code}'; add it with `codes add`, or read it again")
        if found.kind == "minutes" and self._plan is None:
            raise BadInput(
                f"code '{code}' is for minutes, and the twin's own amounts have none to take off; use a plan of your own"
            )
        if found.session is not None and found.session != session and _is_standing(connection, found.session):
            raise BadInput(f"code '{code}' was used for stay '{found.session}'; a code is used once")
        other = connection.scalar(select(codes.c.code).where(codes.c.session == session, codes.c.code != code))
        if other is not None:
            raise BadInput(f"stay '{session}' has code '{other}'; a stay has one")
        latest, position = latest_of(connection, session)
        connection.execute(update(codes).where(codes.c.code == code).values(session=session))
        self._rate(connection, latest, position, f"code {code}")

    def review(self, connection: Connection, session: str, author: str, reason: str) -> None:
        """Say that a held stay is right as it is, so that it is invoiced; a later version of it is held anew.

        Raises:
            BadInput: there is no such stay.
        """
        latest, _ = latest_of(connection, session)
        known = select(reviews.c.author).where(reviews.c.session == session, reviews.c.version == latest.version)
        if connection.execute(known).first() is None:
            connection.execute(reviews.insert().values(session=session, version=latest.version, author=author, reason=reason))

    def _settle(self, connection: Connection, event: Event, session: str) -> None:
        """See that what was received is what the latest version of a stay says, if that knows of this fact."""
        known = select(versions.c.session).where(versions.c.session == session, versions.c.version > 1)
        if connection.execute(known.where(versions.c.position >= event.position)).first() is not None:
            _transfer(connection, event, latest_of(connection, session)[0])

    def rate_of(self, connection: Connection, stay: Stay) -> Any:
        """What a stay costs now, with what the book knows of its account and code; None where there is nothing to bill."""
        account = account_of(connection, stay.session)
        return rated(stay, self._plan, permits_of(connection, account), _validation_of(connection, stay.session))

    def _rate(self, connection: Connection, stay: Stay, position: int, cause: str) -> None:
        """Take back what stands for a stay where it costs something else now, or somebody else, and charge it anew."""
        standing, account = standing_of(connection, stay.session), account_of(connection, stay.session)
        charge = self.rate_of(connection, stay)
        if standing is not None and charge is not None:
            known = (standing.amount_minor, standing.currency, standing.account)
            if known == (charge.amount_minor, charge.currency, account):
                return
        if standing is not None:
            taken_back = {"kind": "reversal", "amount_minor": -standing.amount_minor, "position": position, "cause": cause}
            _add(connection, **{**_money_of(standing), **taken_back})
        if charge is not None:
            of_version = (lines.c.session == stay.session, lines.c.version == stay.version, lines.c.kind == "charge")
            n_before = connection.scalar(select(func.count()).select_from(lines).where(*of_version)) or 0
            _add(
                connection,
                session=stay.session,
                version=stay.version,
                revision=n_before + 1,
                kind="charge",
                account=account,
                position=position,
                cause=cause,
                **msgspec.structs.asdict(charge),
            )


def latest_of(connection: Connection, session: str) -> tuple[Stay, int]:
    """The last version of a stay, and the position of its fact; raises BadInput where there is none."""
    wanted = select(versions).where(versions.c.session == session).order_by(versions.c.version.desc()).limit(1)
    found = connection.execute(wanted).first()
    if found is None:
        raise BadInput(f"the book has no stay '{session}'; read its name again, or wait until the twin has told of it")
    return stay_in(found), found.position


def stay_in(row: Row[Any]) -> Stay:
    """A row of ``versions`` as a stay."""
    return Stay(**{name: getattr(row, name) for name in Stay.__struct_fields__})


def standing_of(connection: Connection, session: str) -> Row[Any] | None:
    """The charge that nothing took back; there is one at most."""
    wanted = select(lines).where(lines.c.session == session, lines.c.kind.in_(("charge", "reversal")))
    last = connection.execute(wanted.order_by(lines.c.n.desc()).limit(1)).first()
    return last if last is not None and last.kind == "charge" else None


def account_of(connection: Connection, session: str) -> str:
    """Who is billed for a stay."""
    return connection.scalar(select(stay_accounts.c.account).where(stay_accounts.c.session == session)) or CASUAL


def permits_of(connection: Connection, account: str) -> Sequence[Permit]:
    """What an account is entitled to."""
    fields = Permit.__struct_fields__
    found = connection.execute(select(permits).where(permits.c.account == account))
    return [Permit(**{name: getattr(row, name) for name in fields}) for row in found]


def assign(connection: Connection, session: str, plate: str) -> None:
    """Bill a stay to the account that has this plate; to nobody's where none has it, or where it is denied credit."""
    known = connection.execute(select(plates).where(plates.c.plate == plain(plate))).first()
    connection.execute(stay_accounts.delete().where(stay_accounts.c.session == session))
    if known is not None and known.list != "deny":
        connection.execute(stay_accounts.insert().values(session=session, account=known.account))


def _validation_of(connection: Connection, session: str) -> Validation | None:
    found = connection.execute(select(codes).where(codes.c.session == session)).first()
    return None if found is None else Validation(code=found.code, kind=found.kind, value=found.value)


def _is_standing(connection: Connection, session: str) -> bool:
    return latest_of(connection, session)[0].status != "void"


def _receive(connection: Connection, event: Event, fact: PaymentBooked) -> None:
    if fact.fate == "already_booked":
        return
    is_held = fact.fate in ("credited", "no_stay")
    _add(
        connection,
        session=fact.session,
        version=0,
        revision=0,
        kind="payment" if is_held else "unassigned",
        payment=fact.payment,
        account=account_of(connection, fact.session),
        amount_minor=-fact.amount_minor,
        currency=fact.currency,
        terms="",
        position=event.position,
        cause=event.id,
    )


def _transfer(connection: Connection, event: Event, stay: Stay) -> None:
    """Money that went along with a stay that became part of another one, or came back."""
    of_money = (lines.c.session == stay.session, lines.c.kind.in_(("payment", "transfer")))
    known = -(connection.scalar(select(func.sum(lines.c.amount_minor)).where(*of_money)) or 0)
    if stay.paid_minor == known:
        return
    of_version = (lines.c.session == stay.session, lines.c.version == stay.version, lines.c.kind == "transfer")
    currency = stay.currency or connection.scalar(select(lines.c.currency).where(*of_money).limit(1)) or ""
    _add(
        connection,
        session=stay.session,
        version=stay.version,
        revision=connection.scalar(select(func.count()).select_from(lines).where(*of_version)) or 0,
        kind="transfer",
        account=account_of(connection, stay.session),
        amount_minor=known - stay.paid_minor,
        currency=currency,
        terms="",
        position=event.position,
        cause=event.id,
    )


def _money_of(line: Row[Any]) -> dict[str, Any]:
    kept = ("session", "version", "revision", "account", "currency", "terms", "payment")
    return {name: getattr(line, name) for name in kept}


def _add(connection: Connection, **fields: Any) -> None:
    connection.execute(lines.insert().values(**fields))
