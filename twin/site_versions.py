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
from site_models.load import check_site
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


class MapStanding(Struct, frozen=True, kw_only=True):
    """Which of a site's saved maps is used.

    Attributes:
        in_force: the version that the site is; None: it is none of those that were saved.
        newest: the version that was saved last; None: none was.
    """

    site: str
    in_force: int | None
    newest: int | None
    words: str

    @property
    def is_newest(self) -> bool:
        """Whether nothing was saved that is not used."""
        return self.newest is None or self.newest == self.in_force


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

    def in_force(self, site: Site) -> int | None:
        """The newest version that this site is; None: it is none of them."""
        there = self.all()
        digest = digest_of(site)
        if same := [one.version for one in there if one.digest == digest]:
            return same[-1]
        # A release that writes the files otherwise gives another digest: of the newest one at least, that is found out.
        if there and check_site(self.folder(there[-1].version)) == (site, ()):
            return there[-1].version
        return None

    def standing(self, site: Site) -> MapStanding:
        """Which version a site is, which one was saved last, and how that is brought in force."""
        there, used = self.all(), self.in_force(site)
        newest = there[-1] if there else None
        return MapStanding(site=site.name, in_force=used, newest=newest and newest.version, words=self._words(used, newest))

    def _words(self, used: int | None, newest: SiteVersion | None) -> str:
        if newest is None:
            return "no version of its map was saved here"
        if used == newest.version:
            return f"version {used}, the one saved last, is in force"
        now = "the map that it was started with, which is none of the saved ones," if used is None else f"version {used}"
        return (
            f"version {newest.version} is saved (by {newest.author} at {newest.at}: {newest.reason}) and not in force; {now} "
            f"is. To bring it in force, stop the service and start it with --site {self.folder(newest.version)}"
        )

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


def versions_in(data_dir: Path, site: str) -> SiteVersions:
    """Those of a site that a service with this data folder keeps."""
    return SiteVersions(data_dir / "sites" / site)


def digest_of(site: Site) -> str:
    """Of a site's files, as a version of it would have them."""
    with tempfile.TemporaryDirectory(prefix="twin-site-") as folder:
        dump_site(site, Path(folder))
        return _digest(Path(folder))


def _digest(folder: Path) -> str:
    whole = blake2b(digest_size=32)
    for file in sorted(folder.iterdir()):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _about(folder: Path) -> SiteVersion:
    return msgspec.json.decode((folder / _ABOUT).read_bytes(), type=SiteVersion)
