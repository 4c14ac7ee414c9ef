"""Is the content of the input still there? Figures that see what similarity and distribution do not.

Images are ``(n, height, width)`` in [0, 1]; masks are bool of the same shape.
"""

import itertools

import numpy as np
from scipy import ndimage

from common_tf.metrics.similarity.mae import mae
from common_tf.randomness import Stream

_EDGE = 0.05
_BATCH = 32
_PAIRS = Stream("content.diversity")


def edge_agreement(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    """How far edges lie in the same places and directions inside the mask, ``(n,)`` in [0, 1].

    Normalised gradient fields (Haber and Modersitzki 2006): ``sum <u, v>^2 / sqrt(sum |u|^4 sum |v|^4)`` with
    ``u = grad x / sqrt(|grad x|^2 + 0.05^2)`` and v likewise; Gaussian derivatives, sigma 1 pixel. It does not ask
    which side of an edge is the brighter, nor by how much: aligned drawn CT and MRI reach .85 at 128 pixels, those of
    different heads .42. nan where one image has no edges.
    """
    # A few images at a time: gradients in double precision of a whole test set would fill the memory.
    parts = [slice(start, start + _BATCH) for start in range(0, len(first), _BATCH)]
    return np.concatenate([_agreement(first[part], second[part], mask[part]) for part in parts] or [np.zeros(0)])


def _agreement(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    u, v = (np.stack([_normalised_gradient(image) for image in images]) for images in (first, second))
    dots = np.square((u * v).sum(axis=1)), np.square((u * u).sum(axis=1)), np.square((v * v).sum(axis=1))
    both, one, other = ((values * mask).sum(axis=(1, 2)) for values in dots)
    with np.errstate(invalid="ignore"):
        return both / np.sqrt(one * other)


def _normalised_gradient(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image, np.float64)
    gradient = np.stack([ndimage.gaussian_filter(image, 1.0, order=order) for order in ((1, 0), (0, 1))])
    return gradient / np.sqrt(np.square(gradient).sum(axis=0) + _EDGE**2)


def table_share(inputs: np.ndarray, outputs: np.ndarray, *, mask: np.ndarray, entries: int = 64) -> np.ndarray:
    """How much of each output a table of the input's gray values explains, ``(n,)`` in [0, 1].

    R^2 of the best table for that one image: 1 says that the output is a recolouring of its input, pixel by pixel.
    """
    shares = []
    for source, output, inside in zip(inputs, outputs, mask):
        levels = np.round(np.clip(source[inside], 0, 1) * (entries - 1)).astype(int)
        values = np.asarray(output[inside], np.float64)
        total = np.square(values - values.mean()).sum() if values.size else 0.0
        if not total:
            shares.append(np.nan)
            continue
        counts = np.bincount(levels, minlength=entries)
        means = np.bincount(levels, weights=values, minlength=entries) / np.maximum(1, counts)
        shares.append(1.0 - np.square(values - means[levels]).sum() / total)
    return np.array(shares)


def diversity(images: np.ndarray, *, pairs: int = 500, seed: int = 0) -> float:
    """Mean absolute difference of random pairs of images; 0 when all are the same (mode collapse)."""
    images = np.asarray(images)
    if len(images) < 2:
        return float("nan")
    random = _PAIRS.numpy(seed)
    first = random.integers(0, len(images), pairs)
    second = (first + random.integers(1, len(images), pairs)) % len(images)
    return float(np.mean([mae(images[i : i + 1], images[j : j + 1])[0] for i, j in zip(first, second)]))


def checkerboard(images: np.ndarray) -> np.ndarray:
    """How far patterns of period 2 and 4 pixels stand out of an image's spectrum, ``(n,)``, in decades of power.

    The power (Hann window) at the spatial frequencies 0, 1/4 and 1/2 of either axis, except the mean, over the median
    power around each; log10, the largest. Enlarging by strided convolutions leaves such patterns (Odena et al. 2016); a
    picture without them has about a few tenths, for the largest of 11 is above the middle.
    """
    scores = []
    for image in np.asarray(images, np.float64):
        height, width = image.shape
        power = np.abs(np.fft.fft2((image - image.mean()) * np.outer(np.hanning(height), np.hanning(width)))) ** 2
        points = []
        for rows, columns in itertools.product((0, 1, 2), (0, 1, 2, 3)):
            y, x = round(height * rows / 4), round(width * columns / 4)
            if rows or columns:
                near = power[np.ix_(np.arange(y - 5, y + 6) % height, np.arange(x - 5, x + 6) % width)]
                points.append(near[4:7, 4:7].mean() / (np.median(near) + 1e-12))
        scores.append(np.log10(max(points) + 1e-12))
    return np.array(scores)


def lesion_contrast(images: np.ndarray, lesion: np.ndarray, head: np.ndarray, *, ring: int = 6) -> np.ndarray:
    """Mean of the lesion minus mean of a ring around it, ``(n,)``; nan where there is no lesion.

    Args:
        images: in [0, 1].
        lesion, head: masks; the ring lies in the head.
        ring: its width in pixels.
    """
    contrasts = []
    for image, inside, outline in zip(images, lesion, head):
        around = ndimage.binary_dilation(inside, iterations=ring) & outline & ~inside
        if inside.any() and around.any():
            contrasts.append(float(image[inside].mean() - image[around].mean()))
        else:
            contrasts.append(np.nan)
    return np.array(contrasts)
