"""How programs that ask a service show who they are: the one place where a key becomes a header."""

from __future__ import annotations

from collections.abc import Mapping

from twin.errors import BadInput
from twin.settings import CLIENT_KEY


def client_key(environ: Mapping[str, str]) -> str | None:
    """The key in ``TWIN_API_KEY``, never on a command line, which others can read; None where that is absent or blank."""
    return environ.get(CLIENT_KEY, "").strip() or None


def key_shown(key: str | None) -> dict[str, str]:
    """The headers that show a key; none for None.

    Raises:
        BadInput: it has what cannot be in a header.
    """
    if key is None:
        return {}
    bare = key.strip()
    if not (bare.isascii() and bare.isprintable()):
        raise BadInput(f"the API key ({CLIENT_KEY}) has characters that no key has; copy it anew")
    return {"authorization": f"Bearer {bare}"} if bare else {}
