"""By which plan a book rates: the one of its first `run`, so that no command can rate a stay by other terms."""

from __future__ import annotations

import hashlib

import msgspec
from sqlalchemy import Connection, select

from ops.examples.billing.plan import Plan
from ops.examples.billing.schema import terms, versions
from twin.errors import BadInput, Conflict


def keep_plan(connection: Connection, plan: Plan | None) -> None:
    """Make a plan the book's own, where it has none yet; None: the twin's amounts.

    Raises:
        Conflict: the book has another one.
    """
    if connection.execute(select(terms)).first() is None:
        connection.execute(terms.insert().values(plan=_name_of(plan), digest=_digest_of(plan)))
    check_plan(connection, plan)


def check_plan_of_stays(connection: Connection, plan: Plan | None) -> None:
    """``check_plan``, where the book has stays that may be rated anew; before the first of them any plan will do."""
    if connection.execute(select(versions.c.session).limit(1)).first() is not None:
        check_plan(connection, plan)


def check_plan(connection: Connection, plan: Plan | None) -> None:
    """See that a command rates as the book does.

    Raises:
        BadInput: nobody has said yet how the book rates.
        Conflict: the book has another plan.
    """
    kept = connection.execute(select(terms)).first()
    if kept is None:
        raise BadInput("this book has no plan yet; start `run` with the book's --tariff first")
    if kept.digest != _digest_of(plan):
        raise Conflict(
            f"this book rates by plan '{kept.plan}' with digest {kept.digest[:12]}, and --tariff gives '{_name_of(plan)}' "
            f"with {_digest_of(plan)[:12]}; give the plan that `run` was started with, or begin another book"
        )


def _name_of(plan: Plan | None) -> str:
    return "twin" if plan is None else plan.name


def _digest_of(plan: Plan | None) -> str:
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()
