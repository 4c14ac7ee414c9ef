"""Drawn heads as a source: aligned CT, MRI and lesion from one seed each, with no file behind them."""

from collections.abc import Mapping, Sequence

import numpy as np

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import Phantom, draw_phantom, weak_field
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts
from common_tf.sources.source import Case, Loaded, Source

DRAWN = "phantom"
"""What ``--data`` says for drawn heads."""

LESIONS_AS_DRAWN = 0.5
_SIDES = {"ct-mri": ("ct", "mri"), "field-strength": ("weak", "mri")}
# Far from each other: what one kind of training draws no other does, whatever their seeds.
_BLOCK = 1_000_000
FIRST_TRANSLATOR, FIRST_DETECTOR, FIRST_SEGMENTER = 0, 500_000, 600_000
VALIDATION, TEST = 64, 48
LARGEST_COUNT = 100_000


def drawn_domains(*, seed: int, count: int, size: int, pair: str, domains: Sequence[str], aligned: bool) -> Source:
    """Heads for a translator: unpaired, no head is drawn in both domains; aligned, every one is.

    The test heads are drawn in both domains either way, and no training of this seed sees them.

    Args:
        seed: of the run.
        count: training heads of each domain.
        size: side in pixels.
        pair: what is drawn as domain A and B: ``ct-mri`` or ``field-strength``.
        domains: their names.
        aligned: training and validation in aligned pairs.
    """
    first = seed * _BLOCK + FIRST_TRANSLATOR
    each = count + VALIDATION
    sides = dict(zip(domains, _SIDES[pair]))
    cases = []
    for number, domain in enumerate(domains):
        start = first + (0 if aligned else number * each)
        shown = sides if aligned else {domain: sides[domain]}
        if aligned and number:
            break
        for split, begin, end in (("train", 0, count), ("validation", count, each)):
            cases += [drawn_case(one, size=size, sides=shown, split=split) for one in range(start + begin, start + end)]
    start = first + 2 * each
    cases += [drawn_case(one, size=size, sides=sides, split="test") for one in range(start, start + TEST)]
    return Source("drawn", None, cases)


def fitting_heads(*, seed: int, count: int, size: int, pair: str, domains: Sequence[str]) -> list[Case]:
    """The heads behind domain A's training slices, both sides; only floors may use them so."""
    first = seed * _BLOCK + FIRST_TRANSLATOR
    sides = dict(zip(domains, _SIDES[pair]))
    return [drawn_case(one, size=size, sides=sides, split="train") for one in range(first, first + count)]


def drawn_classes(*, seed: int, count: int, size: int, modality: str, classes: Sequence[str]) -> Source:
    """Heads for a detector, every other one with a lesion."""
    first = seed * _BLOCK + FIRST_DETECTOR
    cases = []
    for number in range(count):
        sides = {classes[number % 2]: modality.lower()}
        cases.append(drawn_case(first + number, size=size, sides=sides, split="", lesions=float(number % 2)))
    return Source("drawn", None, cases)


def drawn_lesions(*, seed: int, count: int, size: int, modality: str, label: str) -> Source:
    """Heads for a segmenter, each a patient of its own."""
    first = seed * _BLOCK + FIRST_SEGMENTER
    sides = {label: modality.lower()}
    return Source("drawn", None, [drawn_case(first + one, size=size, sides=sides, split="") for one in range(count)])


def drawn_case(
    seed: int, *, size: int, sides: Mapping[str, str], split: str, lesions: float = LESIONS_AS_DRAWN
) -> Case:
    """One drawn head.

    Args:
        seed: of the head.
        size: side in pixels.
        sides: by label what is drawn: ``ct``, ``mri``, or ``weak``, the MRI at a weak field.
        split: that it belongs to.
        lesions: probability of a lesion.
    """
    name = f"{DRAWN}/{seed}"

    def load() -> Loaded:
        phantom = draw_phantom(seed, size=size, lesion_probability=lesions)
        # Aligned pictures share one head, and so one frame; of a single one it is found, as of any file.
        head = phantom.head if len(sides) > 1 else None
        pictures = {label: Picture(quantise(phantom_side(phantom, side)), head=head) for label, side in sides.items()}
        facts = {
            label: FileFacts("drawn", "L", 8, size, size, int(picture.pixels.min()), int(picture.pixels.max()))
            for label, picture in pictures.items()
        }
        return Loaded(pictures, facts, lesion=phantom.lesion)

    identity = f"{name} {size} {sorted(sides.items())} {lesions}"
    return Case(name, dict.fromkeys(sides, name), split, load, patient=name, identity=identity)


def phantom_side(phantom: Phantom, side: str) -> np.ndarray:
    """The image of a phantom that is called ``ct``, ``mri`` or ``weak``, in [0, 1]."""
    return weak_field(phantom.mri) if side == "weak" else getattr(phantom, side)
