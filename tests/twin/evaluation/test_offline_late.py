"""What comes late near the end of a file is fused all the same."""

from twin.evaluation.offline import FuseSummary, fuse
from twin.evaluation.proofs import part
from twin.events.facts import ObservationLate
from twin.events.ids import SECOND
from twin.events.observations import FrameObserved
from twin.rules.fold import Fold

DAY, G9 = part("site_day"), part("g9")


def _fused(events):
    return list(fuse(Fold(DAY.PROOF_SITE), events, FuseSummary()))


def test_frames_that_come_some_seconds_late_just_before_the_end_change_nothing():
    events = list(DAY.site_day(3, 30))
    end_at = max(event.occurred_at for event in events)
    late = [
        k
        for k, one in enumerate(events)
        if isinstance(one.payload, FrameObserved) and end_at - 6 * SECOND < one.occurred_at < end_at - 4 * SECOND
    ][:10]
    moved = [one for k, one in enumerate(events) if k not in late]
    moved[-1:-1] = [events[k] for k in late]
    found = _fused(moved)
    fates = [one.event.payload.fate for one in found if isinstance(one.event.payload, ObservationLate)]
    assert set(fates) == {"fused_later"}
    assert len(fates) >= len(late) > 5
    assert G9.net_view(found) == G9.net_view(_fused(events))
