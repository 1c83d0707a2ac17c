"""What the examples show of who asks."""

import pytest

from ops.examples.service import headers
from twin.settings import CLIENT_KEY


@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_without_a_key_no_header_is_sent(monkeypatch, blank):
    if blank is None:
        monkeypatch.delenv(CLIENT_KEY, raising=False)
    else:
        monkeypatch.setenv(CLIENT_KEY, blank)
    assert headers() == {}


def test_a_key_is_shown_without_the_space_around_it(monkeypatch):
    monkeypatch.setenv("TWIN_API_KEY", " twin_k1_s3cret\n")
    assert headers() == {"authorization": "Bearer twin_k1_s3cret"}
