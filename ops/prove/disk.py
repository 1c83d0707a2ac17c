"""What a disk holds after a power cut: the writes of one run, recorded below SQLite, and replayed up to any moment.

A file's writes are durable once the file was synced. Of later ones, a power cut leaves any sectors, in no order. The recorder
wraps the methods of the files that SQLite's own default VFS opens, in this process.

Source: Pillai et al., "All file systems are not created equal" (2014), on what applications may assume.
"""

from __future__ import annotations

import ctypes
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SECTOR = 512
_OPEN_NAMED = 0x100 | 0x80000  # main database and WAL, of SQLITE_OPEN_*; the rest does not outlive a power cut

_Pointer, _Int, _Int64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(
    _Int, _Pointer, _Pointer, _Pointer, _Int, ctypes.POINTER(_Int)
)  # the name by its address: SQLite keeps it
_Write = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Int, _Int64)
_Truncate = ctypes.CFUNCTYPE(_Int, _Pointer, _Int64)
_Sync = ctypes.CFUNCTYPE(_Int, _Pointer, _Int)


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods`` of version 3; https://sqlite.org/c3ref/io_methods.html."""

    _fields_ = (
        ("version", _Int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        ("others", _Pointer * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """The beginning of ``sqlite3_vfs``; https://sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("version", _Int),
        ("file_size", _Int),
        ("longest_path", _Int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("app_data", _Pointer),
        ("open", _Pointer),
    )


class Step(NamedTuple):
    """One thing done to a file: bytes written at an offset, cut to a size (``body`` is None), or synced (``at`` is -1)."""

    file: str
    at: int
    body: bytes | None

    @property
    def is_sync(self) -> bool:
        return self.at < 0


class Recorder:
    """The steps of every database and WAL that this process opens, in order.

    Attributes:
        is_failing: whether the disk refuses to sync, from now on.
    """

    def __init__(self) -> None:
        self.is_failing = False
        self.steps: list[Step] = []
        self._kept: list[Any] = []  # what C holds pointers to
        self._names: dict[int, str] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Files opened inside are recorded; close them inside too."""
        vfs = _default_vfs()
        original = vfs.open
        opened = self._opening(_Open(original))
        vfs.open = ctypes.cast(opened, _Pointer)
        try:
            yield
        finally:
            vfs.open = original
            self._kept.append(opened)

    def _opening(self, original: Callable[..., int]) -> Any:
        def open_file(vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
            result = original(vfs, name, file, flags, out)
            if result == 0 and name is not None and flags & _OPEN_NAMED:
                self._wrap(file, Path(ctypes.string_at(name).decode()).name)
            return result

        return _Open(open_file)

    def _wrap(self, file: int, name: str) -> None:
        held = ctypes.cast(file, ctypes.POINTER(_File)).contents
        methods = _Methods.from_buffer_copy(held.methods.contents)
        write, truncate, sync = _Write(methods.write), _Truncate(methods.truncate), _Sync(methods.sync)

        def writing(this: int, body: int, size: int, at: int) -> int:
            self.steps.append(Step(name, at, ctypes.string_at(body, size)))
            return write(this, body, size, at)

        def truncating(this: int, size: int) -> int:
            self.steps.append(Step(name, size, None))
            return truncate(this, size)

        def syncing(this: int, flags: int) -> int:
            if self.is_failing:
                return sqlite3.SQLITE_IOERR_FSYNC
            result = sync(this, flags)
            self.steps.append(Step(name, -1, None))
            return result

        replaced = _Write(writing), _Truncate(truncating), _Sync(syncing)
        methods.write, methods.truncate, methods.sync = (ctypes.cast(one, _Pointer) for one in replaced)
        held.methods = ctypes.pointer(methods)
        self._kept += [methods, *replaced]


def after_power_cut(steps: Sequence[Step], draw: random.Random) -> dict[str, bytes]:
    """What each file may hold when the power goes after these steps."""
    synced = {step.file: number for number, step in enumerate(steps) if step.is_sync}
    files: dict[str, bytearray] = {}
    for number, step in enumerate(steps):
        if step.is_sync:
            continue
        body = files.setdefault(step.file, bytearray())
        if number < synced.get(step.file, -1):
            _apply(body, step)
        elif step.body is None:
            if draw.random() < 0.5:
                _apply(body, step)
        else:
            for start in range(0, len(step.body), SECTOR):
                if draw.random() < 0.5:
                    _apply(body, Step(step.file, step.at + start, step.body[start : start + SECTOR]))
    return {name: bytes(body) for name, body in files.items()}


def _apply(body: bytearray, step: Step) -> None:
    size = step.at if step.body is None else max(len(body), step.at + len(step.body))
    body.extend(bytes(max(size - len(body), 0)))
    if step.body is None:
        del body[size:]
    else:
        body[step.at : step.at + len(step.body)] = step.body


def _default_vfs() -> _Vfs:
    library = ctypes.CDLL(_library())
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    return library.sqlite3_vfs_find(None).contents


def _library() -> str:
    """The very SQLite that Python's module uses, as the operating system has mapped it."""
    sqlite3.connect(":memory:").close()
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "libsqlite3.so" in path:
            return path
    raise OSError(
        "this Python has SQLite built in: its files cannot be watched; run the proof with a Python that links libsqlite3"
    )
