"""Process settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.errors import SettingsError
from twin.settings import Settings


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environ({"PATH": "/bin"}) == Settings()
    assert Settings().host == "127.0.0.1"


def test_variables_are_converted_to_their_fields_types():
    settings = Settings.from_environ(
        {"TWIN_PORT": "9000", "TWIN_DATA_DIR": "/d", "TWIN_TICK_INTERVAL_S": "0.5", "TWIN_SITE_DIRS": "/a:/b:"}
    )
    assert (settings.port, settings.tick_interval_s) == (9000, 0.5)
    assert (settings.data_dir, settings.site_dirs) == (Path("/d"), (Path("/a"), Path("/b")))
    assert settings.log_location == Path("/d/log.db")


def test_a_database_url_replaces_the_file():
    url = "postgresql://twin@db/twin"
    assert Settings.from_environ({"TWIN_DATABASE_URL": url}).log_location == url


def test_every_wrong_variable_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"TWIN_PROT": "1", "TWIN_PORT": "99999", "TWIN_LOG_LEVEL": "LOUD", "TWIN_DATA_DIR": ""})
    for name in ("TWIN_PROT is not a setting", "TWIN_PORT='99999'", "TWIN_LOG_LEVEL='LOUD'", "TWIN_DATA_DIR=''"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TWIN_PORT", "-1"), ("TWIN_PORT", "x"), ("TWIN_TICK_INTERVAL_S", "0"), ("TWIN_TICK_INTERVAL_S", "nan")],
)
def test_a_value_out_of_range_is_refused(variable, value):
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environ({variable: value})


def test_every_field_is_documented():
    for name in Settings.__struct_fields__:
        assert f"        {name}: " in (Settings.__doc__ or "")
