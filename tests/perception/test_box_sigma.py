import pytest

from perception.box_sigma import BoxSigma, edges_cut, load_box_sigma
from twin.errors import ModelError


def test_sigma_follows_the_table_in_the_pixels_that_the_detector_sees():
    sigma = BoxSigma(side_px=(10.0, 20.0), share=(0.2, 0.1), floor_px=0.5)
    # a side of 40 frame pixels at scale 0.5 is seen as 20: 10 % of 40; one of 30 is seen as 15: half way, 15 %
    assert sigma.of((0, 0, 40, 30), 0.5, ()) == pytest.approx((4.0, 4.5))


def test_a_cut_edge_widens_its_axis_only():
    whole = BoxSigma().of((0, 0, 64, 64), 1.0, ())
    cut = BoxSigma().of((0, 0, 64, 64), 1.0, ("left",))
    assert cut[0] == pytest.approx(3.0 * whole[0])
    assert cut[1] == whole[1]


def test_sigma_never_falls_below_the_floor():
    assert BoxSigma(floor_px=0.5).of((0, 0, 1, 1), 0.25, ()) == (2.0, 2.0)


def test_table_beside_the_model_is_used(tmp_path):
    (tmp_path / "own.sigma.json").write_text('{"side_px": [10], "share": [0.5]}')
    assert load_box_sigma(tmp_path / "own.onnx").of((0, 0, 100, 10), 1.0, ()) == (50.0, 5.0)
    assert load_box_sigma(tmp_path / "other.onnx") == BoxSigma()


@pytest.mark.parametrize(
    "text",
    ['{"side_px": [20, 10], "share": [1, 1]}', '{"side_px": [1], "share": [0]}', '{"sides": [1]}', "{", '{"share": [1]}'],
)
def test_broken_table_is_refused_with_its_path(text, tmp_path):
    (tmp_path / "own.sigma.json").write_text(text)
    with pytest.raises(ModelError, match=r"own\.sigma\.json"):
        load_box_sigma(tmp_path / "own.onnx")


def test_edges_that_cut_a_box_are_named():
    assert edges_cut((0.5, 10, 100, 199), (200, 200)) == ("left", "bottom")
    assert edges_cut((10, 1, 199, 150), (200, 200)) == ("top", "right")
    assert edges_cut((10, 10, 100, 100), (200, 200)) == ()
