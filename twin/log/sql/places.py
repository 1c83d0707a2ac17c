"""Where the device keys of a group are stored, so that a resend is told from a new observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from twin.events.envelope import ObservationEvent
from twin.events.ids import DeviceId, SiteId
from twin.log.sql.prepared import Statements

_GAP = 16
_N_REMEMBERED = 10_000  # boot epochs of a site; then all are asked for again

Place = tuple[int, bytes]
"""Position and content hash."""

_Epoch = tuple[DeviceId, int]


class Newest:
    """The newest sequence stored of each boot epoch, as the writer remembers it from one transaction to the next.

    What comes after it was never stored, and need not be looked for. It holds only while nobody else appends to the site, which
    its head row tells. One that is too large costs a look-up; none is ever too small.
    """

    def __init__(self) -> None:
        self._sites: dict[SiteId, tuple[int, dict[_Epoch, int]]] = {}

    def of(self, site: SiteId, position: int) -> dict[_Epoch, int]:
        """What is remembered of a site whose head is at ``position``; the caller adds to it."""
        known = self._sites.get(site)
        if known is None or known[0] != position or len(known[1]) > _N_REMEMBERED:
            return {}
        return known[1]

    def committed(self, site: SiteId, position: int, newest: dict[_Epoch, int]) -> None:
        """Remember it for the transaction after one that left the head at ``position``."""
        self._sites[site] = position, newest


class Places:
    """The places of a group's device keys: those stored before, and those the group stores itself.

    Attributes:
        by_epoch: of each boot epoch whose keys were looked for, by sequence; whoever stores one adds it.
    """

    def __init__(self, connection: Connection, statements: Statements, newest: Newest) -> None:
        self._connection = connection
        self._statements = statements
        self._remembered = newest
        self._newest: dict[SiteId, dict[_Epoch, int]] = {}
        self.by_epoch: dict[tuple[SiteId, DeviceId, int], dict[int, Place]] = {}

    def find(self, events: Iterable[ObservationEvent], heads: Mapping[SiteId, int]) -> None:
        """Learn which of these are stored, with one index range for each run of a device's sequences.

        Args:
            heads: the last position of each site, its head row being locked.
        """
        sequences: dict[tuple[SiteId, DeviceId, int], list[int]] = {}
        for event in events:
            key = event.key
            epoch = event.site, key.device, key.boot_epoch
            if (found := sequences.get(epoch)) is None:
                found = sequences[epoch] = []
            found.append(key.sequence)
        for (site, device, boot_epoch), found in sequences.items():
            if (newest := self._newest.get(site)) is None:
                newest = self._newest[site] = self._remembered.of(site, heads[site])
            self._find(site, device, boot_epoch, found, newest)

    def committed(self, heads: Mapping[SiteId, int]) -> None:
        """The group is stored, and left the heads here."""
        for site, newest in self._newest.items():
            self._remembered.committed(site, heads[site], newest)

    def _find(self, site: SiteId, device: DeviceId, boot_epoch: int, sequences: list[int], newest: dict[_Epoch, int]) -> None:
        places = self.by_epoch[site, device, boot_epoch] = {}
        given = {"site": site, "device": device, "boot_epoch": boot_epoch}
        stored_to = newest.get((device, boot_epoch))
        if stored_to is None:
            ((highest,),) = self._statements.find_newest.all(self._connection, given)
            stored_to = -1 if highest is None else highest
        if min(sequences) <= stored_to:
            for low, high in runs(one for one in sequences if one <= stored_to):
                rows = self._statements.find_run.all(self._connection, {**given, "low": low, "high": high})
                places.update((sequence, (position, content_hash)) for sequence, position, content_hash in rows)
        newest[device, boot_epoch] = max(stored_to, *sequences)


def runs(sequences: Iterable[int], gap: int = _GAP) -> list[tuple[int, int]]:
    """Cover numbers with few closed ranges, without bridging more than ``gap`` missing ones.

    >>> runs([4, 1, 2, 90])
    [(1, 4), (90, 90)]
    """
    covered: list[tuple[int, int]] = []
    for one in sorted(sequences):
        if covered and one - covered[-1][1] <= gap + 1:
            covered[-1] = covered[-1][0], one
        else:
            covered.append((one, one))
    return covered
