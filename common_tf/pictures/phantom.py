"""Drawn head slices: an aligned CT, MRI and lesion mask from one seed.

A phantom is a schematic axial slice, not a simulation of physics. It has what a translator must get right: bone that is
bright in CT and dark in MRI, fluid that is dark in CT and bright in T2-weighted MRI, gray and white matter that CT
hardly separates, a scalp, lesions visible in both, and each modality's own disturbances. Every random choice comes from
the seed, so phantom ``n`` is the same on every machine, and the supply has no end.

A pixel shows the average of what lies in it (partial volume): small images are drawn fine and then averaged, and only
noise and gain, which belong to the acquired pixel, come after.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Intensities in [0, 1] of a brain-window CT and of a T2-weighted MRI at 3 T.
_CT = {"air": 0.0, "scalp": 0.26, "bone": 1.0, "marrow": 0.86, "fluid": 0.17, "gray": 0.47, "white": 0.40}
_MRI = {"air": 0.0, "scalp": 0.62, "bone": 0.05, "marrow": 0.20, "fluid": 0.93, "gray": 0.50, "white": 0.30}
_TISSUES = tuple(_CT)
_FINE = 256  # the coarsest grid on which anatomy is drawn


@dataclass(frozen=True)
class Phantom:
    """One drawn slice; all arrays are ``(size, size)``.

    Attributes:
        ct: float32 in [0, 1].
        mri: float32 in [0, 1], aligned with ``ct``.
        lesion: bool, empty where there is no lesion.
        head: bool, scalp and everything inside it.
    """

    ct: np.ndarray
    mri: np.ndarray
    lesion: np.ndarray
    head: np.ndarray


def draw_phantom(seed: int, *, size: int = 256, lesion_probability: float = 0.5) -> Phantom:
    """Draws one phantom.

    Args:
        seed: any non-negative integer.
        size: side in pixels, 32 or more; anatomy does not depend on it.
        lesion_probability: chance of a lesion in the brain.
    """
    random = np.random.default_rng([20240321, seed])
    noise_random = np.random.default_rng([20240322, seed])
    factor = -(-_FINE // size)
    fine = factor * size
    x, y = _head_coordinates(random, fine)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    level = random.uniform(0.0, 1.0)  # 0 at the base of the ventricles, 1 near the vertex

    scale = 0.98 - 0.30 * max(0.0, level - 0.6) / 0.4
    outline = scale * (1 + _wobble(random, angle, (2, 3, 4, 5), 0.02))
    scalp = random.uniform(0.05, 0.08) * (1 + _wobble(random, angle, (1, 2, 3), 0.2))
    skull = random.uniform(0.07, 0.10) * (1 + _wobble(random, angle, (1, 2, 4), 0.2)) * (1 + 0.8 * max(0, level - 0.75))
    gap = random.uniform(0.012, 0.03)
    skull_outer, skull_inner = outline - scalp, outline - scalp - skull
    brain_edge = skull_inner - gap

    cortex = _field(random, fine, 0.022) + 0.5 * _field(random, fine, 0.05)
    depth = brain_edge - radius
    tissue = np.full((fine, fine), _TISSUES.index("air"), np.uint8)
    head = radius < outline
    tissue[head] = _TISSUES.index("scalp")
    tissue[radius < skull_outer] = _TISSUES.index("bone")
    diploe = (radius < skull_outer - 0.34 * skull) & (radius > skull_inner + 0.30 * skull)
    tissue[diploe & (skull > 0.065)] = _TISSUES.index("marrow")
    tissue[radius < skull_inner] = _TISSUES.index("fluid")
    brain = (depth > 0) & (np.abs(x) > 0.010 + 0.012 * np.clip(1.2 - depth / 0.15, 0, 1))
    tissue[brain] = _TISSUES.index("gray")
    # Gyri: the white matter's edge follows a band-limited field; sulci are where that field dips near the surface.
    tissue[brain & (depth > 0.085 + 0.06 * cortex) & (np.abs(x) > 0.05 + 0.02 * cortex)] = _TISSUES.index("white")
    tissue[brain & (depth < 0.18) & (cortex > 1.0 + 4 * depth)] = _TISSUES.index("fluid")
    _draw_deep_structures(random, tissue, x, y, level, brain)

    lesion = np.zeros((fine, fine), bool)
    edema = np.zeros((fine, fine))
    has_lesion, kind = random.uniform() < lesion_probability, random.integers(3)
    if has_lesion:
        lesion, edema = _lesion(random, x, y, float(np.min(brain_edge)), cortex)
        lesion &= brain
        edema = edema * brain * ~lesion

    ct, mri = (np.array([values[name] for name in _TISSUES])[tissue] for values in (_CT, _MRI))
    # Lean scalps look like muscle, dense in CT and dull in MRI; fat ones the other way round.
    fat = noise_random.uniform(0.25, 0.75)
    scalp = tissue == _TISSUES.index("scalp")
    ct[scalp], mri[scalp] = 0.62 - 0.50 * fat, 0.30 + 0.55 * fat
    ct = ct + edema * (0.30 - ct)
    mri = mri + edema * (0.74 - mri)
    ct[lesion] = (0.60, 0.66, 0.27)[kind]  # slightly dense, bleeding, cystic
    mri[lesion] = (0.80, 0.66, 0.97)[kind]
    if has_lesion and kind == 0:
        core = ndimage.binary_erosion(lesion, iterations=fine // 42)
        ct[core], mri[core] = 0.36, 0.92  # necrosis inside the rim

    blur = fine / 256
    # Beam hardening: brain is brighter next to the skull.
    cupping = 0.28 * np.clip(radius - 0.30, 0, 0.60) * (radius < skull_inner)
    ct = _average(ndimage.gaussian_filter(ct, 0.7 * blur) + cupping, factor)
    mri = _average(ndimage.gaussian_filter(mri, 0.8 * blur), factor)
    x, y, head, lesion = (_average(field, factor) for field in (x, y, head, lesion))
    head, lesion = head >= 0.5, lesion >= 0.5
    ct = _ct_disturbances(noise_random, ct, x, y, head)
    return Phantom(ct=ct, mri=_mri_disturbances(noise_random, mri, x, y), lesion=lesion, head=head)


def _average(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each ``factor`` x ``factor`` square."""
    size = len(image) // factor
    return image.reshape(size, factor, size, factor).mean(axis=(1, 3))


def weak_field(mri: np.ndarray) -> np.ndarray:
    """A phantom's MRI as if taken at 1.5 T instead of 3 T: less contrast, more noise, a little more blur.

    The noise follows from the image itself, so that one head always gives one picture.

    Args:
        mri: ``(size, size)`` float32 in [0, 1].
    """
    size = mri.shape[0]
    random = np.random.default_rng([20240323, zlib.crc32(np.round(mri * 255).astype(np.uint8).tobytes())])
    smooth = ndimage.gaussian_filter(mri.astype(np.float64), 1.1 * size / 256)
    flat = 0.85 * smooth + 0.05 * (smooth > 0.04)
    real, imaginary = flat + 0.05 * random.standard_normal(mri.shape), 0.05 * random.standard_normal(mri.shape)
    return np.clip(np.hypot(real, imaginary), 0, 1).astype(np.float32)


def _head_coordinates(random: np.random.Generator, size: int):
    """Coordinates in which the head is about the unit disc: shifted, turned, elongated, a little lopsided."""
    grid = (np.arange(size) + 0.5) / size * 2 - 1
    u, v = np.meshgrid(grid, grid)
    tilt = np.deg2rad(random.normal(0, 4))
    u, v = u - random.normal(0, 0.02), v - random.normal(0, 0.02)
    u, v = u * np.cos(tilt) + v * np.sin(tilt), v * np.cos(tilt) - u * np.sin(tilt)
    half_width, half_length = random.uniform(0.64, 0.74), random.uniform(0.80, 0.90)
    x, y = u / half_width, v / half_length
    # The back of a head is broader than its forehead, and no head is symmetric.
    x = x / (1 + 0.07 * y * random.uniform(0.4, 1.3)) + random.normal(0, 0.02) * y**2
    return x, y


def _wobble(random: np.random.Generator, angle: np.ndarray, orders, amplitude: float) -> np.ndarray:
    """A smooth closed curve over the angle, from a few Fourier orders."""
    turn = np.linspace(-np.pi, np.pi, 721)
    curve = np.zeros_like(turn)
    for order in orders:
        curve += random.normal(0, amplitude / order) * np.cos(order * turn + random.uniform(0, 2 * np.pi))
    return np.interp(angle, turn, curve)


def _field(random: np.random.Generator, size: int, length: float) -> np.ndarray:
    """A smooth random field of unit variance whose features measure ``length`` of the image side.

    It is drawn on a grid of fixed size and interpolated, so that the anatomy does not depend on the resolution.
    """
    cells = 128
    field = ndimage.gaussian_filter(random.standard_normal((cells, cells)), length * cells / 2, mode="wrap")
    zoomed = ndimage.zoom(field / field.std(), size / cells, order=1, mode="grid-wrap", grid_mode=True)
    return zoomed[:size, :size]


def _draw_deep_structures(random, tissue, x, y, level, brain) -> None:
    """Ventricles and deep gray matter, by slice level; near the vertex there are none."""
    swelling = random.uniform(0.7, 1.5)
    for side in (-1, 1):
        s = side * x * random.normal(1, 0.06) - random.normal(0, 0.008)
        size = swelling * random.normal(1, 0.1)
        if level < 0.55:
            for centre_x, centre_y, width, length, slope in (
                (0.30, -0.05, 0.13, 0.20, 0.3),
                (0.16, 0.08, 0.09, 0.13, -0.2),
            ):
                nucleus = _ellipse(s, y, centre_x, centre_y, width, length, slope)
                tissue[brain & (nucleus < 1)] = _TISSUES.index("gray")
            front = _ellipse(s, y, 0.12, -0.27, 0.055 * size, 0.17, 0.45)
            back = _ellipse(s, y, 0.21, 0.36, 0.06 * size, 0.17, -0.35)
            for horn in (front, back):
                tissue[brain & (horn < 1)] = _TISSUES.index("fluid")
        elif level < 0.8:
            body = _ellipse(s, y, 0.12, 0.0, 0.065 * size, 0.34 * (1.8 - level), 0.12)
            tissue[brain & (body < 1)] = _TISSUES.index("fluid")
    if level < 0.4:
        tissue[brain & (_ellipse(x, y, 0, 0.04, 0.025 * swelling, 0.12, 0) < 1)] = _TISSUES.index("fluid")


def _ellipse(x, y, centre_x, centre_y, half_width, half_length, slope):
    """Below 1 inside an ellipse whose axis leans by ``slope``."""
    shifted = x - centre_x - slope * -(y - centre_y)
    return (shifted / half_width) ** 2 + ((y - centre_y) / half_length) ** 2


def _lesion(random, x, y, reach, cortex):
    """A lobed blob on one side of the midline, and the soft edema around it in [0, 1]."""
    angle = random.uniform(0, 2 * np.pi)
    distance = random.uniform(0.25, 0.75) * reach
    centre_x, centre_y = distance * np.cos(angle), distance * np.sin(angle)
    extent = random.uniform(0.08, 0.22)
    local_angle = np.arctan2(y - centre_y, x - centre_x)
    lobed = np.hypot(x - centre_x, (y - centre_y) * random.uniform(0.8, 1.25))
    lobed = lobed / (extent * (1 + _wobble(random, local_angle, (2, 3, 4, 5), 0.25)))
    edema = random.uniform(0.2, 1.0) * np.clip(1.9 - lobed + 0.15 * cortex, 0, 1)
    return (lobed < 1) & (x * centre_x > 0), edema


def _ct_disturbances(random, ct, x, y, head) -> np.ndarray:
    """Quantum noise, an export window, an arc of the head holder."""
    size = ct.shape[0]
    grain = ndimage.gaussian_filter(random.standard_normal(ct.shape), 0.6 * size / 256)
    ct = ct + random.uniform(0.02, 0.045) * grain / grain.std() * (0.2 + 0.8 * head)
    # Pictures are exported by hand: no two series have quite the same window.
    ct = np.where(head, ct * random.uniform(0.92, 1.08) + random.uniform(-0.05, 0.05), ct)
    if random.uniform() < 0.7:
        radius = random.uniform(1.16, 1.26)
        arc = (np.abs(np.hypot(x, y * 0.94) - radius) < 0.012) & (y > random.uniform(0.1, 0.6))
        ct = np.where(arc & ~head, 0.9, ct)
    return np.clip(ct, 0, 1).astype(np.float32)


def _mri_disturbances(random, mri, x, y) -> np.ndarray:
    """A coil's bias field, a scanner's gain, and Rician noise."""
    direction = random.uniform(0, 2 * np.pi)
    bias = 1 + random.uniform(0.03, 0.15) * (x * np.cos(direction) + y * np.sin(direction))
    bias = bias + random.uniform(-0.08, 0.08) * (x**2 + y**2 - 0.5)
    mri = mri * bias * random.uniform(0.9, 1.04)
    sigma = random.uniform(0.01, 0.025)
    real, imaginary = mri + sigma * random.standard_normal(mri.shape), sigma * random.standard_normal(mri.shape)
    return np.clip(np.hypot(real, imaginary), 0, 1).astype(np.float32)
