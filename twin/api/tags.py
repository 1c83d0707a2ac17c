"""The groups of operations: what each is for, and which paths are in it."""

from __future__ import annotations

from typing import NamedTuple

_SITE = "/v1/sites/{site}"


class Tag(NamedTuple):
    """A group of operations: those whose path begins with one of ``prefixes``, and with no longer one of another group's."""

    name: str
    about: str
    prefixes: tuple[str, ...]


def _under(*names: str) -> tuple[str, ...]:
    return tuple(f"{_SITE}/{name}" for name in names)


TAGS = (
    Tag("State", "The site at any time, as known at any position.", (f"{_SITE}/",)),
    Tag(
        "Stays and money",
        "Stays, what they cost, what was paid, and what people decided about them.",
        _under("sessions", "ledger", "payments", "decisions", "review", "plates"),
    ),
    Tag("Search", "Which vehicles look like a picture or a sighting, by all that is known.", _under("search")),
    Tag("Facts", "The fact log itself.", _under("facts")),
    Tag(
        "Subscriptions",
        "Durable cursors in the fact log for other programs: lease facts, do what is to be done, acknowledge them.",
        _under("subscriptions"),
    ),
    Tag("Webhooks", "Facts sent to the addresses of other systems.", _under("webhooks")),
    Tag("Observations", "What sensors and other systems saw, and pictures of it.", _under("observations", "crops")),
    Tag(
        "Cameras",
        "Latest pictures of cameras with what was seen in them, and their calibration.",
        (f"{_SITE}/cameras/{{camera}}/", *_under("pictures")),
    ),
    Tag("Sites", "The sites served, their models, and new versions of them.", ("/v1/sites", f"{_SITE}/model/")),
    Tag(
        "Access",
        "Keys, logins, and who asked for what.",
        (*_under("audit", "live/tickets"), "/v1/session"),
    ),
    Tag("Service", "Whether the service works, its figures, and these descriptions of it.", ("/",)),
)


def tag_of(path: str) -> str:
    """The group that a path is in: that of the longest beginning."""
    fitting = [(len(prefix), tag.name) for tag in TAGS for prefix in tag.prefixes if path.startswith(prefix)]
    return max(fitting)[1]
