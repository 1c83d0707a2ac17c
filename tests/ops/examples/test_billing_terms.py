"""A book rates by one plan: the one that its first run was started with."""

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from ops.examples.billing import cli
from ops.examples.billing.accounts import import_codes
from ops.examples.billing.plan import Plan
from ops.examples.billing.schema import lines
from ops.examples.billing.terms import check_plan, keep_plan
from twin.errors import BadInput, Conflict

PLAN = Plan(name="street@1", currency="EUR", step_minutes=30, price_minor=100)
TOML = 'name = "street@1"\ncurrency = "EUR"\nstep_minutes = 30\nprice_minor = {}\n'


@pytest.fixture
def folder(engine, teller, tmp_path):
    """A book of one stay, with a plan of its own, a dearer one of the same name, and a code."""
    (tmp_path / "plan.toml").write_text(TOML.format(100))
    (tmp_path / "dearer.toml").write_text(TOML.format(900))
    (tmp_path / "codes.csv").write_text("code,shop,kind,value\nC1,shoes,percent,50\n")
    teller(PLAN).closed(amount=777)
    with engine.begin() as connection:
        import_codes(connection, tmp_path / "codes.csv")
    return tmp_path


def billing(folder, *command):
    return CliRunner().invoke(cli.app, [*command, "--database", f"sqlite:///{folder / 'bills.db'}"])


def amounts(engine):
    with engine.begin() as connection:
        return [one.amount_minor for one in connection.execute(lines.select().order_by(lines.c.n))]


@pytest.mark.parametrize("tariff", [(), ("--tariff", "dearer.toml")])
@pytest.mark.parametrize(
    "command", [("validate", "p1", "--code", "C1"), ("reconcile", "--site", "lot"), ("run", "--site", "lot")]
)
def test_a_command_with_another_plan_than_the_first_run_had_is_refused(engine, folder, command, tariff, monkeypatch):
    monkeypatch.chdir(folder)
    with engine.begin() as connection:
        keep_plan(connection, PLAN)
    refused = billing(folder, *command, *tariff, *(() if command[0] == "validate" else ("--url", "http://127.0.0.1:9")))
    assert isinstance(refused.exception, Conflict)
    assert "this book rates by plan 'street@1'" in str(refused.exception)
    assert amounts(engine) == [200], "the stay costs what it did"


def test_a_code_takes_its_share_off_what_the_books_own_plan_says(engine, folder):
    with engine.begin() as connection:
        keep_plan(connection, PLAN)
    assert billing(folder, "validate", "p1", "--code", "C1", "--tariff", str(folder / "plan.toml")).exit_code == 0
    assert amounts(engine) == [200, -200, 100]


def test_the_first_run_says_by_which_plan_a_book_rates(engine, folder, monkeypatch):
    async def left_at_once(*_, **__):
        return None

    monkeypatch.setattr(cli, "follow", left_at_once)
    assert billing(folder, "run", "--site", "lot", "--tariff", str(folder / "plan.toml")).exit_code == 0
    with engine.begin() as connection:
        check_plan(connection, PLAN)
        with pytest.raises(Conflict, match=r"plan 'street@1' .* gives 'twin'"):
            keep_plan(connection, None)
        with pytest.raises(Conflict):
            check_plan(connection, replace(PLAN, day_cap_minor=1_000))


def test_a_book_that_never_ran_rates_nothing(engine, folder):
    assert isinstance(billing(folder, "validate", "p1", "--code", "C1").exception, BadInput)
    assert amounts(engine) == [200]
