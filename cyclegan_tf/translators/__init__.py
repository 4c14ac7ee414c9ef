"""Translation systems: one file each, and one line each in the registry."""

from common_tf.errors import UserError
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.translators.base import Translator
from cyclegan_tf.translators.cyclegan import CycleGAN

REGISTRY = {"cyclegan": CycleGAN}


def build_translator(config: TranslatorConfig, *, policy: str, total_steps: int) -> Translator:
    """Builds the system that a config names.

    Args:
        config: of the run.
        policy: Keras mixed-precision policy.
        total_steps: length of the training, for the learning-rate schedule.
    """
    if config.model not in REGISTRY:
        raise UserError(f"--model {config.model}: must be one of {', '.join(REGISTRY)}")
    return REGISTRY[config.model](config, policy=policy, total_steps=total_steps)
