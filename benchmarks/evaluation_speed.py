#!/usr/bin/env python3
"""Time this project's metrics beside SciPy's and scikit-image's, interleaved in one run, and check that they agree.

    python benchmarks/evaluation_speed.py --rounds 3

Fréchet: 744 against 744 features of 2,048 dimensions. KID: the same, 100 subsets. SSIM: 32 images of 256x256.
"""

import argparse
import time

import numpy as np
from scipy import linalg
from skimage.metrics import structural_similarity

from common_tf.metrics.frechet import frechet_distance
from common_tf.metrics.kernel import kernel_distance
from common_tf.metrics.similarity.ssim import ssim


def _by_square_root(first: np.ndarray, second: np.ndarray) -> float:
    """The textbook's way: a matrix square root of the product of covariances."""
    s1, s2 = (np.cov(features, rowvar=False) for features in (first, second))
    root = linalg.sqrtm(s1 @ s2).real
    return float(np.square(first.mean(0) - second.mean(0)).sum() + np.trace(s1 + s2 - 2 * root))


def _skimage(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    options = dict(data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return np.array([structural_similarity(x, y, **options) for x, y in zip(first, second)])


def main() -> None:
    """Parses the flags and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(0)
    mixing = random.standard_normal((64, 2048))
    features = [random.standard_normal((744, 64)) @ mixing + random.standard_normal((744, 2048)) for _ in range(2)]
    images = random.uniform(size=(2, 32, 256, 256)).astype(np.float32)
    pairs = {
        "Fréchet": (frechet_distance, _by_square_root, features),
        "KID": (lambda x, y: kernel_distance(x, y)["mean"], None, features),
        "SSIM": (ssim, _skimage, images),
    }
    seconds: dict = {}
    for _ in range(rounds):
        for name, (ours, theirs, given) in pairs.items():
            results = []
            for label, function in (("ours", ours), ("theirs", theirs)):
                if function is None:
                    continue
                began = time.perf_counter()
                results.append(function(*given))
                seconds.setdefault((name, label), []).append(time.perf_counter() - began)
            if len(results) == 2:
                np.testing.assert_allclose(*results, rtol=1e-3)
    print(f"{'':10}{'ours, s: min':>14}{'median':>10}{'theirs: min':>14}{'median':>10}{'ratio of medians':>18}")
    for name in pairs:
        cells = f"{name:10}"
        for label, width in (("ours", 14), ("theirs", 14)):
            values = seconds.get((name, label))
            cells += f"{min(values):{width}.3f}{np.median(values):10.3f}" if values else f"{'-':>{width}}{'-':>10}"
        if (name, "theirs") in seconds:
            cells += f"{np.median(seconds[name, 'ours']) / np.median(seconds[name, 'theirs']):18.4f}"
        print(cells)


if __name__ == "__main__":
    main()
