import numpy as np
import pytest

from perception.synthetic.render.appearance import appearance, vehicle_mesh
from perception.synthetic.render.materials import Material, colour
from perception.synthetic.render.mesh import MeshBuilder
from perception.synthetic.render.people import person_mesh
from perception.synthetic.render.shapes import HELD_OUT, SHAPES, TRAINED
from perception.synthetic.vehicles import BODIES

MIRRORS_M = 0.6  # mirrors stand out on both sides
RISE_M = 0.45  # a roof box or ladders on top


def test_every_body_that_traffic_drives_has_a_shape_of_its_size():
    for name, body in BODIES.items():
        shape = SHAPES[name]
        assert (shape.kind, shape.length_m, shape.width_m, shape.height_m) == (
            body.kind,
            body.length_m,
            body.width_m,
            body.height_m,
        )


def test_held_out_bodies_are_not_trained_on():
    assert set(HELD_OUT).isdisjoint(TRAINED)
    assert set(HELD_OUT) | set(TRAINED) == set(SHAPES)
    assert len(TRAINED) >= 10


@pytest.mark.parametrize("name", SHAPES)
def test_a_vehicle_is_as_large_as_it_says_and_stands_on_the_ground(name):
    shape = SHAPES[name]
    mesh = vehicle_mesh(appearance(1, name, "look", "vehicle", "AB-1234", spread=0.0))
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    assert high[0] - low[0] == pytest.approx(shape.length_m, abs=0.25)
    assert shape.width_m * 0.8 <= high[1] - low[1] <= shape.width_m + MIRRORS_M
    assert -0.02 <= low[2] <= 0.02
    assert shape.height_m * 0.85 <= high[2] <= shape.height_m + RISE_M
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-3)
    assert mesh.triangles.max() == len(mesh.positions) - 1


def test_lookalikes_share_model_and_paint_and_differ_in_dirt_and_plate():
    one = appearance(1, "suv", "same", "a", "AA-1111")
    other = appearance(1, "suv", "same", "b", "BB-2222")
    stranger = appearance(1, "suv", "else", "c", "CC-3333")
    assert (one.details, one.paint) == (other.details, other.paint)
    assert (one.dirt, one.plate) != (other.dirt, other.plate)
    assert one.paint != stranger.paint


def test_a_box_has_its_size_and_normals_that_point_away_from_its_middle():
    builder = MeshBuilder()
    builder.box((1.0, 2.0, 3.0), (0.5, 1.0, 2.0), colour((1, 1, 1)))
    mesh = builder.build()
    assert mesh.positions.min(axis=0) == pytest.approx([0.5, 1.0, 1.0])
    assert mesh.positions.max(axis=0) == pytest.approx([1.5, 3.0, 5.0])
    assert (((mesh.positions - [1.0, 2.0, 3.0]) * mesh.normals).sum(axis=1) > 0).all()


def test_a_colour_carries_its_material():
    for material in Material:
        assert int(colour((0.1, 0.2, 0.3), material)[3] * 255 + 0.5) // 16 == material


def test_the_same_person_looks_the_same():
    assert np.array_equal(person_mesh(1, 7, 0.5).positions, person_mesh(1, 7, 0.5).positions)
    assert person_mesh(1, 7).positions[:, 2].max() > 1.4
