"""What a cycle (or a paired output) can be judged by beside L1: SSIM, features and style, each switched by its
weight.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from common_tf.features import FeatureMaps, load_feature_maps
from cyclegan_tf.losses import feature_distance, ssim_loss, style_distance


class CycleTerms:
    """The extra terms of a system's options; none where it has no such options. No tf.Module: a frozen extractor has
    no business in a checkpoint.

    Args:
        options: of the system.
        slices: of the slabs that it sees; 1 for slices alone.

    Attributes:
        weights: of the terms that are switched on, by name; empty for none.
        extractor: what the perceptual and style terms look at, or ``None``.
    """

    def __init__(self, options: Any, *, slices: int = 1):
        weights = {name: getattr(options, f"{name}_weight", 0.0) for name in ("ssim_cycle", "perceptual", "style")}
        self.weights = {name: weight for name, weight in weights.items() if weight}
        wanted = weights["perceptual"] or weights["style"]
        self.extractor: FeatureMaps | None = load_feature_maps(options.extractor, slices=slices) if wanted else None

    def __call__(self, real: tf.Tensor, cycled: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Raw values by name.

        Args:
            real: an image of the input's domain, ``(batch, size, size, channels)`` in [-1, 1].
            cycled: what came back of it.
        """
        results: dict[str, tf.Tensor] = {}
        # At most two uses of a tensor at once; see `cyclegan_tf.adversarial`.
        structure, seen = (tf.identity(cycled), tf.identity(cycled)) if len(self.weights) > 1 else (cycled, cycled)
        if "ssim_cycle" in self.weights:
            results["ssim_cycle"] = ssim_loss(real, structure)
        if self.extractor is not None:
            wanted, mine = self.extractor(real), self.extractor(seen)
            if "perceptual" in self.weights:
                results["perceptual"] = feature_distance(wanted, mine)
            if "style" in self.weights:
                results["style"] = style_distance(wanted, mine)
        return results
