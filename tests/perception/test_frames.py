from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.frames import Frame, thinned
from perception.stream_clock import StreamClock
from twin.backoff import Backoff

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frames(fps: float, n: int) -> list[Frame]:
    return [Frame(camera="a", exposed_at=round(i * 1e6 / fps), index=i, image=IMAGE) for i in range(n)]


@pytest.mark.parametrize(("fps", "kept"), [(30, list(range(30))), (10, list(range(0, 30, 3))), (None, list(range(30)))])
def test_thinned_keeps_evenly_spaced_frames(fps, kept):
    assert [frame.index for frame in thinned(iter(frames(30, 30)), fps)] == kept


@given(fps=st.floats(5, 60), wanted=st.floats(1, 60))
def test_thinned_never_gives_more_than_asked(fps, wanted):
    n = sum(1 for _ in thinned(iter(frames(fps, 120)), wanted))
    assert n <= 120 / fps * wanted + 2
    assert n >= min(120, 120 / fps * wanted * 0.7) - 2


def test_stream_clock_takes_the_least_delayed_frame_as_truth():
    clock = StreamClock()
    # taken at 0, 0.1, 0.2, …; received 50, 10 and 80 ms later
    assert clock.exposed_at(0.0, 1_050_000) == 1_050_000
    assert clock.exposed_at(0.1, 1_110_000) == 1_110_000
    assert clock.exposed_at(0.2, 1_280_000) == 1_210_000


@given(delays=st.lists(st.integers(0, 500_000), min_size=2, max_size=60))
def test_stream_times_increase_and_do_not_lie_after_the_receipt(delays):
    clock = StreamClock(not_before=5)
    received: list[int] = []
    for i, delay in enumerate(delays):  # TCP keeps the order: a late frame delays those behind it
        received.append(max(10_000_000 + i * 40_000 + delay, (received[-1] if received else 0) + 1))
    times = [clock.exposed_at(i * 0.04, at) for i, at in enumerate(received)]
    assert all(early < late for early, late in pairwise(times))
    assert all(taken <= at for taken, at in zip(times, received, strict=True))


def test_backoff_grows_to_its_bound_and_halves_at_most():
    assert [Backoff(lambda: 1.0, first_s=1.0, longest_s=5.0).wait_s(n) for n in (1, 2, 3, 4, 9999)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert Backoff(lambda: 0.0, first_s=1.0, longest_s=5.0).wait_s(4) == 2.5
