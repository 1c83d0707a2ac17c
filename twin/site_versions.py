"""Versions of a site that were saved by its editor: a folder each, which ``twin serve --site`` takes."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from site_models.dump import dump_site
from site_models.edit import Change
from site_models.schema import Site
from twin.errors import Conflict, NotFound

_ABOUT = "version.json"
_TRIES = 20


class SiteVersion(Struct, frozen=True, kw_only=True):
    """What is known of one.

    Attributes:
        digest: BLAKE2b of its three files, hexadecimal.
        changes: against the site that was served when it was saved.
    """

    schema: str = "twin.site_version/1"
    version: int
    digest: str
    at: str
    author: str
    reason: str
    changes: tuple[Change, ...]


class SiteVersions:
    """Those of one site, in a folder: ``0001``, ``0002``, …; none is ever written twice."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, version: int) -> Path:
        """Where a version is, or would be."""
        return self._root / f"{version:04d}"

    def all(self) -> list[SiteVersion]:
        """The oldest first."""
        if not self._root.is_dir():
            return []
        return [_about(folder) for folder in sorted(self._root.iterdir()) if folder.name.isdigit()]

    def save(self, site: Site, *, at: str, author: str, reason: str, changes: Sequence[Change]) -> SiteVersion:
        """Keep a site under the next number, whole or not at all.

        Raises:
            Conflict: others saved all the time.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".saving-", dir=self._root))
        try:
            dump_site(site, beside)
            digest = _digest(beside)
            for _ in range(_TRIES):
                number = max((one.version for one in self.all()), default=0) + 1
                kept = SiteVersion(version=number, digest=digest, at=at, author=author, reason=reason, changes=tuple(changes))
                (beside / _ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1))
                try:
                    beside.rename(self.folder(number))
                except OSError:  # another was faster: a folder with files in it is not replaced
                    continue
                return kept
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        raise Conflict(f"no free number was found for a version of site '{site.name}' in {_TRIES} tries; save again")

    def packed(self, version: int) -> bytes:
        """A version's files as a zip; raises NotFound."""
        folder = self.folder(version)
        if not (folder / _ABOUT).is_file():
            there = ", ".join(str(one.version) for one in self.all()) or "none"
            raise NotFound(f"there is no version {version} of this site; saved are {there}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.writestr(file.name, file.read_bytes())
        return packed.getvalue()


def _digest(folder: Path) -> str:
    whole = blake2b(digest_size=32)
    for file in sorted(folder.iterdir()):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _about(folder: Path) -> SiteVersion:
    return msgspec.json.decode((folder / _ABOUT).read_bytes(), type=SiteVersion)
