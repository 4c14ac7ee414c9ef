import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid, save_png
from common_tf.pictures.intensity import quantise


def test_a_picture_says_that_it_is_synthetic(tmp_path, random):
    pixels = quantise(random.uniform(size=(20, 30)))
    save_png(tmp_path / "a.png", Image.fromarray(pixels))
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert (image.text["Synthetic"], image.text["Comment"]) == ("true", SYNTHETIC_NOTICE)
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("shape", [(32, 32), (64, 16), (16, 64), (500, 3), (1, 1)])
def test_images_of_any_shape_are_fitted_into_their_cells(tmp_path, shape):
    columns = [[np.ones(shape), np.zeros(shape)], [np.ones((32, 32))]]
    save_grid(tmp_path / "grid.png", columns, titles=["first", "second"], footer="what it shows", cell=48)
    canvas = np.asarray(Image.open(tmp_path / "grid.png"))
    assert canvas.shape == (2 * 52 + 4 + 40, 2 * 52 + 4)
    cell = canvas[24:72, 4:52]
    height, width = (max(1, round(48 * side / max(shape))) for side in shape)
    assert cell[(48 - height) // 2 + height // 2, (48 - width) // 2 + width // 2] == 255
    assert (cell == 255).sum() == height * width
