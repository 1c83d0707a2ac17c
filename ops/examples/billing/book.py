"""The book: what a fact of the twin, a code or a person's review adds to it, in the transaction of whoever calls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from ops.examples.billing.plan import Charge, Permit, Plan, Validation, rated
from ops.examples.billing.schema import codes, lines, permits, plates, reviews, stay_accounts, versions
from ops.examples.billing.stay import Stay, stay_of
from ops.examples.plate import plain
from twin.client import Event
from twin.errors import BadInput
from twin.events.facts import PaymentBooked, SessionAmended, SessionClosed

CASUAL = "casual"
"""The account of whoever has none."""
_MONEY = ("payment", "transfer")


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
                move_money(connection, stay.session, position, event.id)
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

    def rate_again(self, connection: Connection, accounts: Collection[str], cause: str) -> None:
        """Rate all stays of accounts whose permits are other ones now; one that costs the same gets no line."""
        entitled = {account: permits_of(connection, account) for account in accounts}
        standing = _all_standing(connection)
        validations = {row.session: _validation_in(row) for row in connection.execute(select(codes)) if row.session is not None}
        for row in _latest_of_all(connection):
            if row.account not in entitled:
                continue
            stay = stay_in(row)
            charge = rated(stay, self._plan, entitled[row.account], validations.get(stay.session))
            if not _stands(standing.get(stay.session), charge, row.account):
                _replace(connection, stay, standing.get(stay.session), charge, row.account, row.position, cause)

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
        if not _stands(standing, charge, account):
            _replace(connection, stay, standing, charge, account, position, cause)


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


def move_money(connection: Connection, session: str, position: int, cause: str) -> None:
    """Move what was received for a stay to the account that it is billed to: what is paid stays paid."""
    account = account_of(connection, session)
    amount = func.sum(lines.c.amount_minor)
    wanted = select(lines.c.account, lines.c.currency, amount.label("amount_minor"))
    of_others = wanted.where(lines.c.session == session, lines.c.kind.in_(_MONEY), lines.c.account != account)
    held = of_others.group_by(lines.c.account, lines.c.currency).having(amount != 0)
    version = latest_of(connection, session)[0].version
    for one in connection.execute(held.order_by(lines.c.account, lines.c.currency)).all():
        for side, amount_minor in ((one.account, -int(one.amount_minor)), (account, int(one.amount_minor))):
            _move(connection, session, version, side, amount_minor, one.currency, position, cause)


def move_all_money(connection: Connection) -> None:
    """``move_money`` of all stays: books of earlier releases left it with whom a stay was billed to when it was paid."""
    billed = lines.outerjoin(stay_accounts, stay_accounts.c.session == lines.c.session)
    elsewhere = lines.c.account != func.coalesce(stay_accounts.c.account, CASUAL)
    wanted = select(lines.c.session).select_from(billed).where(lines.c.kind.in_(_MONEY), elsewhere)
    grouped = wanted.group_by(lines.c.session, lines.c.account, lines.c.currency).having(func.sum(lines.c.amount_minor) != 0)
    for session in sorted(set(connection.scalars(grouped))):
        move_money(connection, session, latest_of(connection, session)[1], "account")


def _validation_of(connection: Connection, session: str) -> Validation | None:
    found = connection.execute(select(codes).where(codes.c.session == session)).first()
    return None if found is None else _validation_in(found)


def _validation_in(row: Row[Any]) -> Validation:
    return Validation(code=row.code, kind=row.kind, value=row.value)


def _latest_of_all(connection: Connection) -> Sequence[Row[Any]]:
    """The last version of every stay, with its account."""
    newest = select(versions.c.session, func.max(versions.c.version).label("version")).group_by(versions.c.session).subquery()
    is_newest = (versions.c.session == newest.c.session) & (versions.c.version == newest.c.version)
    joined = versions.join(newest, is_newest).outerjoin(stay_accounts, stay_accounts.c.session == versions.c.session)
    account = func.coalesce(stay_accounts.c.account, CASUAL).label("account")
    return connection.execute(select(versions, account).select_from(joined).order_by(versions.c.session)).all()


def _all_standing(connection: Connection) -> dict[str, Row[Any]]:
    """``standing_of`` every stay that has one."""
    of_charges = lines.c.kind.in_(("charge", "reversal"))
    last = select(func.max(lines.c.n).label("n")).where(of_charges).group_by(lines.c.session).subquery()
    wanted = select(lines).join(last, lines.c.n == last.c.n).where(lines.c.kind == "charge")
    return {row.session: row for row in connection.execute(wanted)}


def _stands(standing: Row[Any] | None, charge: Charge | None, account: str) -> bool:
    """Whether what stands for a stay is what it costs."""
    if standing is None or charge is None:
        return standing is None and charge is None
    known = (standing.amount_minor, standing.currency, standing.account)
    return known == (charge.amount_minor, charge.currency, account)


def _is_standing(connection: Connection, session: str) -> bool:
    return latest_of(connection, session)[0].status != "void"


def _replace(
    connection: Connection,
    stay: Stay,
    standing: Row[Any] | None,
    charge: Charge | None,
    account: str,
    position: int,
    cause: str,
) -> None:
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
    of_money = (lines.c.session == stay.session, lines.c.kind.in_(_MONEY))
    known = -(connection.scalar(select(func.sum(lines.c.amount_minor)).where(*of_money)) or 0)
    if stay.paid_minor == known:
        return
    currency = stay.currency or connection.scalar(select(lines.c.currency).where(*of_money).limit(1)) or ""
    account, amount_minor = account_of(connection, stay.session), known - stay.paid_minor
    _move(connection, stay.session, stay.version, account, amount_minor, currency, event.position, event.id)


def _move(
    connection: Connection,
    session: str,
    version: int,
    account: str,
    amount_minor: int,
    currency: str,
    position: int,
    cause: str,
) -> None:
    of_version = (lines.c.session == session, lines.c.version == version, lines.c.kind == "transfer")
    _add(
        connection,
        session=session,
        version=version,
        revision=connection.scalar(select(func.count()).select_from(lines).where(*of_version)) or 0,
        kind="transfer",
        account=account,
        amount_minor=amount_minor,
        currency=currency,
        terms="",
        position=position,
        cause=cause,
    )


def _money_of(line: Row[Any]) -> dict[str, Any]:
    kept = ("session", "version", "revision", "account", "currency", "terms", "payment")
    return {name: getattr(line, name) for name in kept}


def _add(connection: Connection, **fields: Any) -> None:
    connection.execute(lines.insert().values(**fields))
