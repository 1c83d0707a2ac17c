"""What the subcommands share."""

from sqlalchemy.exc import DatabaseError, OperationalError

from twin.commands import database_trouble, saying_how_far

SECOND = 1_000_000


def test_how_far_a_long_command_is_is_said_every_ten_seconds(capsys):
    times = iter([0, 9 * SECOND, 10 * SECOND, 19 * SECOND, 21 * SECOND])
    told = saying_how_far("lot: events read", lambda: next(times))
    for n in (100, 200, 300, 400):
        told(n, 500)
    assert capsys.readouterr().err == "lot: events read: 200 of 500\nlot: events read: 400 of 500\n"


def test_what_a_database_says_is_told_with_what_to_do_and_other_errors_are_not():
    damaged = database_trouble(DatabaseError("select", None, Exception("database disk image is malformed")))
    assert damaged is not None
    assert "malformed. The file is damaged" in damaged
    away = database_trouble(OperationalError("select", None, Exception("connection refused\n  Is the server running?")))
    assert away is not None
    assert away.startswith("the database refused: connection refused Is the server running?; nothing that was not acknowledged")
    assert database_trouble(KeyError("x")) is None
