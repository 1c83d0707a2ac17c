import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("yolox", reason="the extra 'train' is not installed")

from perception.training.assignment import Grid, Labels, assign, is_excused  # noqa: E402
from perception.training.yolox_nano import VehicleHead, build_network  # noqa: E402
from perception.training.yolox_package import YoloxHead  # noqa: E402

SIZE_PX = (128, 96)


def labels(*boxes, ignored=(), n=1):
    """Each box is (picture, kind, centre x, centre y, width, height)."""
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6)
    regions = torch.tensor(ignored, dtype=torch.float32).reshape(-1, 5)
    return Labels(rows[:, 0].long(), rows[:, 2:], rows[:, 1].long(), regions[:, 0].long(), regions[:, 1:])


def pictures(n):
    return torch.from_numpy(np.random.default_rng(3).uniform(0, 255, (n, 3, SIZE_PX[1], SIZE_PX[0])).astype(np.float32))


def grid(stride=8, columns=16, rows=12):
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centres = (torch.stack((x, y), dim=2).reshape(-1, 2) + 0.5) * stride
    return Grid(centres, torch.full((rows * columns,), float(stride)), ((stride, columns, rows, 0),))


@pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast")
@pytest.mark.parametrize("l1", [False, True])
def test_the_loss_is_the_packages_where_nothing_is_ignored(l1):
    # One vehicle a picture: there the package's candidates and ours are the same cells.
    network = build_network(5, seed=2).train()
    network.head.use_l1 = l1
    with torch.no_grad():
        for predict in network.head.reg_preds:  # boxes of the vehicles' size, so that overlaps differ
            predict.bias[2:] = 1.2
    rows = [(0, 1, 40.3, 30.1, 36.0, 22.0), (1, 4, 80.9, 61.7, 12.0, 14.0), (2, 0, 3.0, 90.0, 30.0, 30.0)]
    with torch.no_grad():
        ours = network(pictures(3), labels(*rows))
    theirs_labels = torch.zeros(3, 4, 5)
    for picture, kind, *box in rows:
        theirs_labels[picture, 0] = torch.tensor([kind, *box])
    network.head.__class__ = YoloxHead
    with torch.no_grad():
        theirs = network(pictures(3), theirs_labels)
    for name in ("total_loss", "iou_loss", "conf_loss", "cls_loss", "l1_loss", "num_fg"):
        assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name


def test_cells_in_an_ignored_region_do_not_learn_objectness_and_all_others_do():
    head = VehicleHead(5, 0.25, in_channels=(256, 512, 1024), depthwise=True)
    cells = grid()
    outputs = torch.zeros(1, len(cells.strides), 10)
    outputs[..., 2:4] = 20.0
    outputs.requires_grad_()
    x, y = (cells.centres / 8 - 0.5).T
    label = labels((0, 2, 100.0, 20.0, 30.0, 20.0), ignored=[(0, 8.0, 8.0, 40.0, 40.0)])
    loss = head.get_losses(torch.empty(0), [x[None]], [y[None]], [cells.strides[None]], label, outputs, [], torch.float32)
    loss[0].backward()
    is_inside = ((cells.centres > 8) & (cells.centres < 40)).all(dim=1)
    gradient = outputs.grad[0, :, 4]
    assert is_inside.sum() == 16
    assert (gradient[is_inside] == 0).all()
    assert (gradient[~is_inside] != 0).all()


def test_a_target_inside_an_ignored_region_is_learnt():
    label = labels((0, 2, 24.0, 24.0, 16.0, 16.0), ignored=[(0, 0.0, 0.0, 48.0, 48.0)])
    excused = is_excused(label, grid(), 1)[0].reshape(12, 16)
    assert excused[:6, :6].sum() == 36 - 4  # the target covers 2 x 2 cells
    assert not excused[2:4, 2:4].any()
    assert not excused[6:].any()


def test_ignored_regions_are_those_of_their_own_picture():
    excused = is_excused(labels(ignored=[(1, 0.0, 0.0, 48.0, 48.0)]), grid(), 2)
    assert excused.sum(dim=1).tolist() == [0, 36]


def test_two_vehicles_never_share_a_cell():
    cells = grid()
    n = len(cells.strides)
    boxes = torch.cat((cells.centres, torch.full((n, 2), 30.0)), dim=1)
    found = assign(
        labels((0, 0, 60.0, 44.0, 30.0, 30.0), (0, 1, 62.0, 44.0, 30.0, 28.0)), cells, boxes, torch.zeros(n), torch.zeros(n, 5)
    )
    assert len(found.cells) == len(set(found.cells.tolist()))
    assert set(found.targets.tolist()) == {0, 1}


def test_a_batch_without_vehicles_has_a_loss():
    network = build_network(5, seed=1).train()
    losses = network(pictures(2), labels())
    losses["total_loss"].backward()
    assert torch.isfinite(losses["total_loss"])
    assert losses["conf_loss"].item() > 0


def test_the_same_seed_builds_the_same_network():
    first, again, other = (build_network(5, seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
