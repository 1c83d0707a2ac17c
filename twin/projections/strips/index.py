"""All strips of a site: brought up to what is known, and asked for the state at a moment.

The first strip begins before all; each goes on where the one before it ends. New facts go into the strips of their valid
times. Where what a thing is at a strip's end changes by that, so does the beginning of the next one, until nothing does.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import CodecError
from twin.events.ids import SECOND, Micros
from twin.graph.flat import FlatGraph
from twin.graph.model import site_graph
from twin.log.cuts import Cuts
from twin.log.port import Log
from twin.projections.moment import BEFORE_ALL, FOREVER, Moment
from twin.projections.strips.counts import Block, Counts
from twin.projections.strips.cutting import Cutting
from twin.projections.strips.folding import begin, go_on
from twin.projections.strips.intake import Intake
from twin.projections.strips.loose import Carried, Loose
from twin.projections.strips.opened import OpenStrips
from twin.projections.strips.shelf import EMPTY, Changed, Directory, Shelf, Window
from twin.projections.strips.strip import (
    NEVER,
    Held,
    ReadStrip,
    Strip,
    n_encoded,
    pack_strip,
    unpack_read,
    unpack_strip,
)

STRIP_FACTS = 2_000
SETTLE: Micros = 75 * SECOND
MOST_BEHIND = 10_000
BATCH = 100_000
_MOST_UNSAVED = 64
_TRIES = 3
_EMPTY = pack_strip(EMPTY)

_logger = logging.getLogger(__name__)


class _Moved(Exception):
    """A strip is not as the directory says: another one wrote meanwhile."""


class StripIndex:
    """One site's strips.

    What changed stays in memory until ``build`` saves it, of ``most_behind`` facts at most where nobody builds; beside that the
    last strips that were read.

    Args:
        strip_facts: how many facts are in a strip, at least.
        settle: a strip ends so long before the newest fact, at least: later facts are rarely of before.
        most_behind: a read takes so many facts in that are not saved yet, at most.
        opened: where unpacked strips are kept, together with those of other sites.
    """

    def __init__(
        self,
        log: Log,
        site: Site,
        version: str,
        *,
        strip_facts: int = STRIP_FACTS,
        settle: Micros = SETTLE,
        most_behind: int = MOST_BEHIND,
        opened: OpenStrips | None = None,
    ) -> None:
        self._log = log
        self._site = site
        self._shelf = Shelf(log, site.name, version)
        self._cutting = Cutting(strip_facts, settle)
        self._most_behind = most_behind
        self._opened_strips = OpenStrips() if opened is None else opened
        self._blank = FlatGraph(site_graph(site))
        self._scratch = self._blank.copy()
        self._is_busy = False
        self._is_damaged = False
        self._kept_number = -1  # of the directory that this one kept last, which is not forgotten
        self._generation = 0
        self._lock = asyncio.Lock()
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._directory: Directory | None = None
        self._saved = Directory(cut=0)  # as it is stored
        self._counts = Counts(self._blank)
        self._filled: list[tuple[int, Block]] = []
        self._changed: dict[Micros, Changed] = {}
        self._written = set[Micros]()  # since the directory was saved
        self._intake = Intake(self._log, self._site.name, self._blank, self._counts.changes)
        self._opened_strips.drop_all(self)

    @property
    def _saved_to(self) -> int:
        return self._saved.built_to

    @property
    def built_to(self) -> int:
        """The last fact position that is in the strips."""
        return 0 if self._directory is None else self._directory.built_to

    async def graph(self, moment: Moment, cuts: Cuts) -> FlatGraph | None:
        """What the site is at a moment; None where the strips do not reach it, so that facts have to be folded.

        Args:
            cuts: of the site, as they are now.
        """
        wrong: Exception | None = None
        for _ in range(0 if self._is_damaged else _TRIES):
            directory = self._directory
            try:
                directory = await self._reaching(moment.known_at, cuts)
                return None if directory is None else await self._graph(directory, moment)
            except (_Moved, CodecError) as error:  # another process may have made them again
                wrong = error
                await self._lose(directory)
        if wrong is not None:
            self._is_damaged = True
            _logger.warning("site '%s': %s; until then facts are folded", self._site.name, wrong)
        return None

    async def build(self) -> bool:
        """Take a batch of facts in and save what changed; gives whether there are more. For the process that follows the log.

        One process at a time does so; others take what is missing in for themselves, until they are the one.

        Raises:
            TwinError: it could not be saved.
        """
        async with self._lock, self._log.sole(self._site.name, "strips of the past") as is_sole:
            if not is_sole:
                await self._look_up()
                return False
            return await self._build()

    async def _look_up(self) -> None:
        """Read what another process has saved."""
        try:
            await self._present(await self._log.cuts(self._site.name))
        except CodecError:  # the one that builds mends it
            self._forget()

    async def _build(self) -> bool:
        head, cuts = (await self._log.heads(self._site.name)).facts, await self._log.cuts(self._site.name)
        self._is_busy = head - self.built_to > self._most_behind
        begun: Directory | None = None
        try:
            if self._is_damaged:
                raise CodecError("what was found to be damaged is dropped")
            directory = await self._present(cuts)
            begun = self._saved
            if directory.built_to == 0 < self._saved_to:
                raise CodecError("retention took what they begin with")
            to = min(head, max(directory.built_to, self._intake.read_to) + BATCH)
            await self._advance(directory, to, defers=to < head, saves=True)
            await self._save()
            return self.built_to < head
        except (_Moved, CodecError) as wrong:
            await self._begin_again(wrong, begun)
            return True
        finally:
            self._is_busy = False

    async def _begin_again(self, wrong: Exception, begun: Directory | None) -> None:
        """Go on from what another process saved; where none did, drop what is damaged.

        Args:
            begun: the stored directory that the build began with, which may have kept later ones midway; None where it did
                not get so far.
        """
        self._forget()
        if begun is not None:
            stored = await self._shelf.directory() or Directory(cut=0)
            if stored.number not in (begun.number, self._kept_number):
                _logger.info("site '%s': strips of the past are read again: %s", self._site.name, wrong)
                return
        _logger.warning("site '%s': strips of the past are made again: %s", self._site.name, wrong)
        await self._shelf.drop()
        self._is_damaged = False

    async def _reaching(self, position: int, cuts: Cuts) -> Directory | None:
        directory = self._directory
        if directory is not None and directory.built_to >= position and directory.cut == cuts.movement:
            return directory
        if self._is_busy:
            return None
        async with self._lock:
            directory = await self._present(cuts)
            if position - self._saved_to > self._most_behind:  # another process may have saved more
                self._forget()
                directory = await self._present(cuts)
            if position - directory.built_to > self._most_behind:
                return None
            if directory.built_to < position:
                await self._advance(directory, position)
            return self._directory

    async def _lose(self, directory: Directory | None) -> None:
        """Read everything anew, if nobody did so meanwhile."""
        async with self._lock:
            if self._directory is directory:
                self._forget()

    async def _present(self, cuts: Cuts) -> Directory:
        """The directory, read where it is not known, without strips of what retention took."""
        if self._directory is None:
            await self._load()
        assert self._directory is not None
        made = cuts.thinning
        if made is not None and made.position != self._directory.cut:
            windows = tuple(one for one in self._directory.windows if one.position >= made.position and one.at >= made.from_at)
            if not windows:
                saved = self._saved
                self._forget()
                self._saved = saved
            kept = {one.at for one in windows}
            self._changed = {at: one for at, one in self._changed.items() if at in kept}
            self._opened_strips.drop_all(self)
            self._generation += 1
            self._directory = (
                replace(self._directory, windows=windows, cut=made.position)
                if self._directory and windows
                else Directory(cut=made.position)
            )
        return self._directory

    async def _load(self) -> None:
        directory = await self._shelf.directory()
        self._saved = directory or Directory(cut=0)
        if directory is None or not directory.built_to:
            self._directory = Directory(cut=0)
            return
        self._counts.blocks = await self._shelf.blocks(directory.n_blocks, self._counts.n_counts)
        self._counts.open = [(one[0], one[1], one[2], one[3]) for one in directory.notes]
        windows = list(directory.windows)
        while windows and (last := unpack_strip(await self._shelf.packed(windows[-1]))).until_at < FOREVER:
            windows.append(await self._after(last))  # written, but the directory was not
        self._directory = replace(directory, windows=tuple(windows))

    async def _after(self, strip: Strip) -> Window:
        found = await self._shelf.strip_at(strip.until_at)
        return Window(found.at, found.position, min((one.position for one in found.facts), default=NEVER))

    async def _graph(self, directory: Directory, moment: Moment) -> FlatGraph | None:
        windows, at, known_at = directory.windows, moment.until_at, moment.known_at
        counts = self._counts
        end = bisect_right(windows, at, key=lambda one: one.at)
        place = min(end, bisect_right(windows, known_at, key=lambda one: one.position)) - 1
        if place < 0:
            return None
        chosen = [place, *(n for n in range(place + 1, end) if windows[n].first <= known_at)]
        graph = self._blank.copy()
        for n in chosen:
            strip = await self._opened(directory, n)
            if n == place:
                begin(graph, strip, known_at)
            go_on(graph, strip.facts, at, known_at)
        if self._counts is not counts:  # all was forgotten meanwhile, and with it what was not saved of these strips
            raise _Moved("they are read again")
        counts.put(graph, at, known_at)
        return graph

    async def _strip(self, directory: Directory, n: int) -> Strip:
        """A strip to be changed."""
        strip = unpack_strip(await self._packed(directory.windows[n]))
        _check(directory, n, strip)
        return strip

    async def _opened(self, directory: Directory, n: int) -> ReadStrip:
        """A strip to be read; the last few are remembered."""
        window = directory.windows[n]
        strip = self._opened_strips.get((self, window.at))
        if strip is None:
            generation = self._generation
            packed = await self._packed(window)
            strip = unpack_read(packed)
            if generation == self._generation:  # else it may have been changed since it was read: good for this answer only
                self._opened_strips.keep((self, window.at), strip, n_encoded(packed))
        _check(directory, n, strip)
        return strip

    async def _packed(self, window: Window) -> bytes:
        if (changed := self._changed.get(window.at)) is not None:
            return changed.packed
        return _EMPTY if window.at == BEFORE_ALL and not self._saved_to else await self._shelf.packed(window)

    async def _advance(self, directory: Directory, to: int, *, defers: bool = False, saves: bool = False) -> None:
        """Take facts in up to a position.

        Args:
            defers: leave those for strips of long ago for later, so that each strip is opened once for many of them; until
                then the strips count as built to where they were.
            saves: strips that changed may be kept at once.
        """
        try:
            taken = await self._intake.read(directory, to, defers=defers)
            windows = await self._change(directory, taken.fresh, taken.until, to, saves=saves)
            built_to = to if self._intake.is_whole else directory.built_to
            self._directory = replace(directory, built_to=built_to, windows=tuple(windows))
            number = len(self._counts.blocks)
            self._filled += enumerate(self._counts.note(sorted(taken.notes)), number)
        except BaseException:  # half of it is done: go on from what is saved
            self._forget()
            raise

    async def _change(
        self,
        directory: Directory,
        fresh: Mapping[int, list[Held]],
        until: Mapping[int, dict[int, int]],
        built_to: int,
        *,
        saves: bool,
    ) -> list[Window]:
        """Take facts into the strips of their times; gives the directory's strips as they are then."""
        waiting, put = sorted(fresh.keys() | until.keys(), reverse=True), partial(self._as_window, built_to)
        carried: Carried | None = None
        n, n_more, windows = -1, 0, list(directory.windows)
        while carried is not None or waiting:
            n = n + 1 if carried is not None else waiting[-1]
            if waiting and waiting[-1] == n:
                waiting.pop()
            strip = await self._strip(directory, n)
            loose = Loose(strip, self._scratch)
            told, ends, place = fresh.get(n, []), until.get(n, {}), n + n_more
            if n == len(directory.windows) - 1:
                loose.begin(carried)
                loose.take(told, ends)
                windows[place:], carried = await self._cutting.last(loose, windows[place], put), None
            else:
                begins, touched = windows[place + 1].position, loose.touched(carried, told, ends)
                before = await loose.carried(touched, begins)
                loose.begin(carried)
                loose.take(told, ends)
                after = await loose.carried(touched, begins)
                # One that a writer left half way may hold these facts already, and the next one not.
                carried = after if self._is_ahead(strip) else after.unlike(before)
                windows[place : place + 1] = parts = await self._cutting.middle(loose, windows[place], begins, put)
                n_more += len(parts) - 1
            if saves and len(self._changed) > _MOST_UNSAVED:
                await self._keep(replace(self._saved, windows=tuple(windows)))
            await asyncio.sleep(0)
        return windows

    def _as_window(self, built_to: int, loose: Loose) -> Window:
        window = Window(loose.at, loose.position, min((one.position for one in loose.facts), default=NEVER))
        self._put(window, loose.strip(built_to))
        return window

    def _is_ahead(self, strip: Strip) -> bool:
        return strip.built_to > self._saved_to and strip.at not in self._written

    def _put(self, window: Window, strip: Strip) -> None:
        self._generation += 1
        self._written.add(strip.at)
        self._changed[strip.at] = Changed(window, pack_strip(strip))
        self._opened_strips.drop((self, strip.at))

    async def _save(self) -> None:
        """Keep what changed."""
        directory = self._directory
        if directory is None or directory.built_to == self._saved_to:
            return
        await self._keep(replace(directory, n_blocks=len(self._counts.blocks), notes=list(self._counts.open)), self._filled)
        if directory.windows[0].position:
            await self._shelf.drop(below=directory.windows[0].position)
        self._filled, self._written = [], set()

    async def _keep(self, directory: Directory, blocks: Iterable[tuple[int, Block]] = ()) -> None:
        """Keep the strips that changed, with a directory."""
        directory = replace(directory, number=self._saved.number + 1)
        if not await self._shelf.save(directory, self._changed.values(), blocks):
            raise _Moved("another process saved meanwhile")
        self._saved, self._changed, self._kept_number = directory, {}, directory.number


def _check(directory: Directory, n: int, strip: Strip | ReadStrip) -> None:
    """Raise _Moved where a strip does not end where the directory says."""
    ends = directory.windows[n + 1].at if n + 1 < len(directory.windows) else FOREVER
    if strip.until_at != ends:
        raise _Moved(f"the one at {strip.at} ends at {strip.until_at}, not at {ends}")
