import numpy as np
import pytest
from trackers.core.bytetrack.tracklet import ByteTrackTracklet
from trackers.utils.predict_timing import PredictTiming
from trackers.utils.state_representations import XYXYStateEstimator

from perception.box_motion import BoxMotion


@pytest.mark.parametrize("period_s", [1 / 30, 0.037, 0.0372, 0.0375, 1 / 6, 1 / 60, 2.5])
def test_boxes_move_as_in_the_librarys_filter(period_s: float):
    # 0.0372 and 0.0375 s lie on both sides of 4 ms from the nominal 1/30 s, where the library changes its process noise
    rng = np.random.default_rng(3)
    start = np.array([10.0, 20.0, 110.0, 80.0])
    ours, theirs = ByteTrackTracklet(start, BoxMotion), ByteTrackTracklet(start, XYXYStateEstimator)
    timing = PredictTiming(frame_step=period_s * 30.0, elapsed_seconds=period_s, frame_rate=30.0)
    for i in range(60):
        expected = theirs.predict(timing)
        assert np.allclose(ours.predict(timing), expected, rtol=0.0, atol=1e-8)
        if i % 7 < 5:  # two frames without a detection now and then
            seen = start + 4.0 * i + rng.normal(0.0, 2.0, 4)
            ours.update(seen)
            theirs.update(seen)
            assert np.allclose(ours.get_state_bbox(), theirs.get_state_bbox(), rtol=0.0, atol=1e-8)


def test_no_detection_leaves_a_box_where_it_was_expected():
    motion = BoxMotion(np.array([0.0, 0.0, 10.0, 10.0], np.float32))
    motion.update(np.array([2.0, 0.0, 12.0, 10.0], np.float32))
    motion.predict(3.0)
    expected = motion.state_to_bbox()
    motion.update(None)
    assert motion.state_to_bbox().tolist() == expected.tolist()
