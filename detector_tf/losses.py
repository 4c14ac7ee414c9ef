"""Losses of classification and segmentation, as functions of logits.

Their mean over the processes that share a step (`common_tf.replicas`) is their value for the whole step.
"""

import tensorflow as tf

from common_tf.replicas import replicas


def classification_loss(
    logits: tf.Tensor, labels: tf.Tensor, *, classes: int, class_weights: tf.Tensor, label_smoothing: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Weighted cross-entropy: binary for one logit, categorical for more.

    Args:
        logits: ``(n, 1)`` or ``(n, classes)`` float32.
        labels: ``(n,)`` int class numbers.
        classes: 2 or more.
        class_weights: ``(classes,)``; the mean over the batch is weighted, not normalised.
        label_smoothing: share of the target that is spread evenly (Szegedy et al. 2016).

    Returns:
        The loss, and the accuracy at probability one half.
    """
    if classes == 2:
        target = tf.cast(labels, tf.float32)[:, None]
        smooth = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
        losses = tf.nn.sigmoid_cross_entropy_with_logits(smooth, logits)[:, 0]
        right = tf.equal(logits[:, 0] > 0, labels > 0)
    else:
        target = tf.one_hot(labels, classes)
        smooth = target * (1.0 - label_smoothing) + label_smoothing / classes
        losses = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
    return tf.reduce_mean(losses * tf.gather(class_weights, labels)), tf.reduce_mean(tf.cast(right, tf.float32))


def segmentation_loss(logits: tf.Tensor, masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Binary cross-entropy + 1 - soft Dice, ``(2 sum pg + 1) / (sum p + sum g + 1)`` over the batch.

    Args:
        logits: ``(n, size, size, 1)`` float32.
        masks: the same shape, in {0, 1}.

    Returns:
        The loss, and the soft Dice.
    """
    entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(masks, logits))
    probabilities = tf.sigmoid(logits)
    overlap, found, wanted = (_step_sum(one) for one in (probabilities * masks, probabilities, masks))
    dice = (2.0 * overlap + 1.0) / (found + wanted + 1.0)
    return entropy + 1.0 - dice, dice


def _step_sum(values: tf.Tensor) -> tf.Tensor:
    """Over the whole step, whichever processes share it."""
    return replicas().count * replicas().step_mean(tf.reduce_sum(values))
