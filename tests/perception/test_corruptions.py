from dataclasses import dataclass

import numpy as np
import pytest

from perception.corruptions import CORRUPTIONS, CorruptedSource, corruption_named
from perception.frames import Frame
from twin.errors import BadInput

PICTURE = np.random.default_rng(5).integers(0, 256, (54, 96, 3), dtype=np.uint8)


@dataclass
class Still:
    """Three frames of one picture."""

    camera: str = "north"
    clock: str = "file"
    is_live: bool = False

    def frames(self):
        for n in range(3):
            yield Frame(camera=self.camera, exposed_at=n * 100_000, index=n, image=PICTURE)

    def interrupt(self):
        pass

    def close(self):
        pass


def shown(name, seed=1, camera="north"):
    return list(CorruptedSource(Still(camera), corruption_named(name), seed).frames())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_picture_is_another_of_the_same_shape_and_the_same_each_time(name):
    first, again = shown(name), shown(name)
    assert [(one.index, one.exposed_at) for one in first] == [(n, n * 100_000) for n in range(3)]
    assert first[0].image.shape == PICTURE.shape
    assert first[0].image.dtype == np.uint8
    assert not np.array_equal(first[0].image, PICTURE)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))


def test_grain_is_another_in_each_frame_and_dirt_is_not():
    grain, dirt = shown("noise"), shown("dirt")
    assert not np.array_equal(grain[0].image, grain[1].image)
    assert np.array_equal(dirt[0].image, dirt[1].image)


def test_dirt_lies_elsewhere_on_another_lens_and_with_another_seed():
    mine = shown("dirt")[0].image
    assert not np.array_equal(mine, shown("dirt", camera="south")[0].image)
    assert not np.array_equal(mine, shown("dirt", seed=2)[0].image)


def test_an_unknown_corruption_is_named_with_those_there_are():
    with pytest.raises(BadInput, match="'rust' is not known; use one of noise, blur, dark, jpeg, fog, dirt"):
        corruption_named("rust")
