"""What tells a resend where no index holds every device key."""

from __future__ import annotations

import random

import pytest

from twin.events.envelope import DeviceKey
from twin.log.devices import N_EPOCHS, N_HOLES, Devices
from twin.log.port import Outcome


def key(sequence, epoch=1, device="cam-1"):
    return DeviceKey(device=device, boot_epoch=epoch, sequence=sequence)


@pytest.fixture
def devices():
    known = Devices()
    for sequence in (1, 2, 4):
        known.stored(key(sequence), sequence, b"x")
    known.stored(key(5), 7, b"five")
    return known


@pytest.mark.parametrize(
    ("sequence", "content", "expected"),
    [
        (6, b"six", (Outcome.STORED, 0)),
        (9, b"nine", (Outcome.STORED, 0)),  # the device gave up 6 to 8
        (5, b"five", (Outcome.DUPLICATE, 7)),
        (5, b"other", (Outcome.REFUSED, 7)),
        (4, b"x", (Outcome.DUPLICATE, 0)),
        (3, b"three", (Outcome.STORED, 0)),  # late
    ],
)
def test_what_is_not_after_the_last_stored_is_a_resend(devices, sequence, content, expected):
    assert devices.judge(key(sequence), content) == expected


def test_any_order_with_any_copies_stores_each_once():
    draw = random.Random(3)
    for _ in range(50):
        sent = [draw.randint(1, 12) for _ in range(60)]
        devices, stored = Devices(), []
        for sequence in sent:
            if devices.judge(key(sequence), b"x")[0] is Outcome.STORED:
                devices.stored(key(sequence), len(stored) + 1, b"x")
                stored.append(sequence)
            devices = Devices(devices.pack())
        assert stored == list(dict.fromkeys(sent))


def test_only_so_many_holes_are_waited_for():
    devices = Devices()
    for sequence in range(2, 2 * N_HOLES + 4, 2):  # 1, 3, 5, … never came
        devices.stored(key(sequence), sequence, b"x")
    assert devices.judge(key(1), b"x") == (Outcome.DUPLICATE, 0)
    assert devices.judge(key(3), b"x") == (Outcome.STORED, 0)


def test_boot_epochs_and_devices_are_apart(devices):
    assert devices.judge(key(1, epoch=2), b"x") == (Outcome.STORED, 0)
    assert devices.judge(key(1, device="cam-2"), b"x") == (Outcome.STORED, 0)


def test_a_boot_epoch_older_than_all_that_are_remembered_is_a_resend():
    devices = Devices()
    for epoch in range(1, N_EPOCHS + 2):
        devices.stored(key(1, epoch=epoch), epoch, b"x")
    assert devices.judge(key(2, epoch=1), b"y") == (Outcome.DUPLICATE, 0)
    assert devices.judge(key(2, epoch=2), b"y") == (Outcome.STORED, 0)


def test_packed_marks_are_the_same_marks(devices):
    devices.stored(key(1, device="cam-2"), 8, b"one")
    again = Devices(devices.pack())
    assert again.judge(key(5), b"five") == (Outcome.DUPLICATE, 7)
    assert again.judge(key(1, device="cam-2"), b"one") == (Outcome.DUPLICATE, 8)
    assert again.pack() == devices.pack()
