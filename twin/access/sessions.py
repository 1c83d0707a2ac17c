"""Browser sessions: a signed cookie that stands for a key by its id, for some hours and while the key stands."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer

from twin.access.keys import KeyId
from twin.events.ids import Micros
from twin.log.clock import Clock

COOKIE = "twin_session"
_SKEW_US = 60_000_000  # between the clocks of processes that issue and read


class Session(NamedTuple):
    """Who a browser is, and until when."""

    key: KeyId
    ends_at: Micros


class BrowserSessions:
    """Issues and reads cookies.

    Args:
        secret: signs them; whoever has it can be anybody.
        lasts_s: from the login on.
    """

    def __init__(self, secret: bytes, clock: Clock, *, lasts_s: int) -> None:
        self._signed = URLSafeSerializer(secret, salt="twin.session", signer_kwargs={"digest_method": sha256})
        self._clock = clock
        self.lasts_s = lasts_s

    def issue(self, key: KeyId) -> str:
        """A cookie for whoever has just shown this key."""
        return str(self._signed.dumps([key, self._clock()]))

    def read(self, cookie: str) -> Session | None:
        """What a cookie says; None where it was not issued here, or has ended."""
        try:
            key, issued_at = self._signed.loads(cookie)
        except (BadSignature, ValueError, TypeError):
            return None
        session = Session(KeyId(key), issued_at + self.lasts_s * 1_000_000)
        return session if issued_at - _SKEW_US <= self._clock() < session.ends_at else None
