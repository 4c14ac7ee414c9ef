"""Translation systems: one file each, and one line each in the registry."""

from typing import Mapping, Type

from common_tf.errors import UserError
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.translators.base import Translator
from cyclegan_tf.translators.cut import CUT
from cyclegan_tf.translators.cyclegan import CycleGAN
from cyclegan_tf.translators.medgan import CycleMedGAN
from cyclegan_tf.translators.pccgan import PCCGAN
from cyclegan_tf.translators.pix2pix import Pix2Pix
from cyclegan_tf.translators.unit import UNIT

REGISTRY: Mapping[str, Type[Translator]] = {
    "cyclegan": CycleGAN,
    "pix2pix": Pix2Pix,
    "unit": UNIT,
    "pccgan": PCCGAN,
    "medgan": CycleMedGAN,
    "cut": CUT,
    "fastcut": CUT,
}


def translator_class(config: TranslatorConfig) -> Type[Translator]:
    """The system that a config names.

    Raises:
        UserError: there is none of that name.
    """
    if config.model not in REGISTRY:
        raise UserError(f"--model {config.model}: must be one of {', '.join(REGISTRY)}")
    return REGISTRY[config.model]


def build_translator(config: TranslatorConfig, *, policy: str, total_steps: int) -> Translator:
    """Builds the system that a config names.

    Args:
        config: of the run.
        policy: Keras mixed-precision policy.
        total_steps: length of the training, for the learning-rate schedule.
    """
    return translator_class(config)(config, policy=policy, total_steps=total_steps)
