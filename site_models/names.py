"""What an id may look like: it stands in URLs, log lines and TOML."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^/\x00-\x1f\x7f\ud800-\udfff]+\Z")]
"""1 to 100 characters without a slash, control characters or halves of a surrogate pair."""
