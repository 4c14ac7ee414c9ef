"""Partners among volumes whose values have no unit, such as MRI: their slices as aligned pictures of 8 bits."""

from collections.abc import Mapping

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.geometry import BLANK_EXTENT, head_extent
from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import quantise
from common_tf.progress import progress
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.planes import needs_regular, slices_of
from common_tf.volumes.resampling import regular
from common_tf.volumes.slices import picture_of
from common_tf.volumes.windows import head_range
from evaluation_tf.finished.sides import FAKE, REAL
from evaluation_tf.finished.volume_sides import VolumeSides, chosen_slices, on_real_grid, read_volume, real_head
from evaluation_tf.images import Images
from evaluation_tf.pairs import Pairs


def unitless_pairs(sides: VolumeSides, patients: Mapping[str, str]) -> Pairs:
    """Axial slices of each real volume and the fake ones at their places, where either shows a head.

    The fake volume is brought to the grid of the real one. Pictures of several sizes are filled up with black.

    Args:
        sides: with partners.
        patients: of each volume, by side and name.

    Raises:
        UserError: a real volume without a head, partners in two spaces.
    """
    real, fake, masks, groups, said = [], [], [], [], []
    empty = 0
    for name, files in progress(sides.pairs.items(), total=len(sides.pairs), words="comparing volumes"):
        sliced, notes = _sliced(*files, sides)
        said += [f"{name}: {note}" for note in notes]
        for pair in sliced:
            heads = [head_mask(one) for one in pair]
            if max(map(head_extent, heads)) < BLANK_EXTENT:
                empty += 1
                continue
            real.append(quantise(pair[0]))
            fake.append(quantise(pair[1]))
            masks.append(heads[0] | heads[1])
            groups.append(patients[f"{REAL}/{files[0].name}"])
    if not real:
        raise UserError(f"--{REAL}: none of its {empty} slices shows a head; are black and white right (--window)?")
    if empty:
        said.append(f"{empty} slices without a head on either side are left out")
    shape = np.max([one.shape for one in real], axis=0)
    return Pairs(
        name="slices of the volumes",
        images={REAL: Images.of(_stacked(real, shape)), FAKE: Images.of(_stacked(fake, shape))},
        mask=Images.of(_stacked(masks, shape)),
        groups=np.unique(groups, return_inverse=True)[1],
        group_word="patients",
        warnings=said,
    )


def _sliced(real: VolumeFile, fake: VolumeFile, sides: VolumeSides) -> tuple[list[tuple[np.ndarray, ...]], list[str]]:
    """Slices of both in [0, 1], at one another's places."""
    truth, made = read_volume(real, REAL), read_volume(fake, FAKE)
    if needs_regular(truth):
        truth = regular(truth)
    windows = [sides.windows.get(label) or head_range(slices_of(one)) for label, one in ((REAL, truth), (FAKE, made))]
    made, notes = on_real_grid(made, truth, real_head(truth, windows[0], name=real.name), name=fake.name)
    slices = slices_of(truth), slices_of(made)
    numbers = chosen_slices(range(len(slices[0])), sides.most_slices)
    sliced = [tuple(picture_of(one, i, window).scaled() for one, window in zip(slices, windows)) for i in numbers]
    return sliced, notes


def _stacked(pictures: list[np.ndarray], shape: np.ndarray) -> np.ndarray:
    """``(n, height, width)``, each in the middle."""
    stack = np.zeros((len(pictures), *shape), pictures[0].dtype)
    for number, one in enumerate(pictures):
        top, left = (shape - one.shape) // 2
        stack[number, top : top + one.shape[0], left : left + one.shape[1]] = one
    return stack
