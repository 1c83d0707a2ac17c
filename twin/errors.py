"""Every error that this project raises on purpose.

A message says what happened with the actual values, then what to do. The command line prints it
without a traceback and exits 1; the API turns it into ``application/problem+json`` with the class's
``status`` and ``slug``.
"""

from __future__ import annotations


class TwinError(Exception):
    """Root of the errors raised on purpose; never raised itself."""

    status = 500
    slug = "internal"


class BadInput(TwinError):
    """Something given from outside cannot be used: a file, a body, a parameter."""

    status = 422
    slug = "bad-input"


class SettingsError(BadInput):
    """A process setting is unknown or has a value out of its range."""

    slug = "bad-settings"


class ShapeError(BadInput):
    """Array arguments whose shapes do not fit together."""

    slug = "bad-shape"


class SiteFault(BadInput):
    """A site model cannot be loaded; ``faults`` lists every fault with its file and feature.

    Attributes:
        faults: one line each, "file: feature 'id': what is wrong; what to do".
    """

    slug = "site-fault"

    def __init__(self, site: str, faults: tuple[str, ...]) -> None:
        self.site = site
        self.faults = faults
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        super().__init__(f"site '{site}' has {count}:\n" + "\n".join(f"  {line}" for line in faults))


class CodecError(BadInput):
    """Bytes or JSON that are not an event of this contract."""

    slug = "bad-event"


class UnknownEventType(CodecError):
    """An event type name that no entry of the codec table has."""

    slug = "unknown-event-type"


class ImageRejected(BadInput):
    """A picture that is empty, too large, or not an image."""

    slug = "image-rejected"


class NothingSeen(ImageRejected):
    """A picture in which nothing is found that could be looked for."""

    status = 404
    slug = "nothing-seen"


class SourceError(BadInput):
    """A video source cannot be opened or breaks off: file, folder, stream."""

    slug = "source-error"


class ModelError(BadInput):
    """A model file that is missing, of an unknown head, or without a runtime that can run it."""

    slug = "model-error"


class MissingExtra(TwinError):
    """An optional package is needed; the message names the extra that installs it."""

    status = 501
    slug = "missing-extra"


class NotFound(TwinError):
    """A site, vehicle, crop or position that does not exist."""

    status = 404
    slug = "not-found"


class Gone(TwinError):
    """It existed, and was erased or retired on purpose."""

    status = 410
    slug = "gone"


class Cut(Gone):
    """It is older than what retention keeps."""

    slug = "cut"


class Conflict(TwinError):
    """The request does not fit what is stored."""

    status = 409
    slug = "conflict"


class NotYet(Conflict):
    """What a reader waits for has not come within its wait; ask again."""

    slug = "not-yet"


class Contradiction(Conflict):
    """Two things that a request says cannot both be so."""

    slug = "contradiction"


class ContentConflict(Conflict):
    """A device key arrived again with other content; it is refused and recorded."""

    slug = "content-conflict"


class CursorConflict(Conflict):
    """The fold's cursor is not where the worker believed: another writer was there first."""

    slug = "cursor-conflict"


class Deposed(Conflict):
    """A fold writer whose fencing token is no longer the newest."""

    slug = "deposed"


class FoldMismatch(Conflict):
    """A re-fold of the observation log gives other facts than those stored."""

    slug = "fold-mismatch"


class DamagedLog(Conflict):
    """What the log holds is not what was written to it."""

    slug = "damaged-log"


class TooLarge(TwinError):
    """A body, batch or picture over its limit."""

    status = 413
    slug = "too-large"


class UnsupportedMedia(TwinError):
    """A body of a media type that the operation does not take."""

    status = 415
    slug = "unsupported-media"


class Overloaded(TwinError):
    """A bounded queue is full; try again later."""

    status = 503
    slug = "overloaded"


class QuotaExceeded(TwinError):
    """A store's quota cannot take this even after evicting what may be evicted."""

    status = 507
    slug = "quota-exceeded"


class LogClosed(TwinError):
    """The log stopped, for instance after an fsync error; reopen and verify."""

    status = 503
    slug = "log-closed"


class Forbidden(TwinError):
    """Refused by policy, such as binding to a public address without access control."""

    status = 403
    slug = "forbidden"


class Misdirected(TwinError):
    """Asked for by a name that is not this service's."""

    status = 421
    slug = "misdirected"


class Unauthorized(TwinError):
    """Nobody is known by what was shown: no key, a wrong one, one that was revoked or has expired."""

    status = 401
    slug = "unauthorized"


class RateLimited(TwinError):
    """More than one key or address may ask for in a time.

    Attributes:
        wait_s: seconds after which it is worth trying again.
    """

    status = 429
    slug = "rate-limited"

    def __init__(self, message: str, *, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(message)
