"""What programs that ask a service show of who they are."""

import pytest

from twin.client_key import client_key, key_shown
from twin.errors import BadInput


@pytest.mark.parametrize("environ", [{}, {"TWIN_API_KEY": ""}, {"TWIN_API_KEY": " \n"}])
def test_without_a_key_nothing_is_shown(environ):
    assert client_key(environ) is None
    assert key_shown(client_key(environ)) == {}


def test_a_key_is_shown_without_the_space_around_it():
    assert key_shown(client_key({"TWIN_API_KEY": " twin_k1_s3cret\n"})) == {"authorization": "Bearer twin_k1_s3cret"}
    assert key_shown(" twin_k1_s3cret\n") == {"authorization": "Bearer twin_k1_s3cret"}


@pytest.mark.parametrize("key", ["twin_k1_schlüssel", "twin_k1\r\nx-other: 1"])
def test_what_cannot_be_in_a_header_is_refused_with_words(key):
    with pytest.raises(BadInput, match="copy it anew"):
        key_shown(key)
