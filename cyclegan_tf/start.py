"""What a training starts from where it does not start from random weights: the generators of another run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.runs.weights import load_weights
from common_tf.sources.started import FLAG
from cyclegan_tf.config import TranslatorConfig, load_translator_config
from cyclegan_tf.systems import system_class

Weights = Mapping[str, list[np.ndarray]]
"""Of generators, by direction."""


def start_weights(config: TranslatorConfig) -> Weights:
    """The generators that ``--weights`` names; none where it names nothing.

    Only generators pass on: critics, optimizers and averages begin anew, so this is fine-tuning, not continuing. Any
    system may be the start whose generators have the same layers.

    Raises:
        UserError: no such run, other domains, or other networks.
    """
    given = config.optimisation.weights
    if not given:
        return {}
    run = Path(given)
    if not run.is_dir():
        raise UserError(f"{FLAG} {given}: no such folder; give a run of train_cyclegan.py, or a folder of checkpoints/")
    other = load_translator_config(run)
    if other.data.domain_names != config.data.domain_names:
        raise UserError(
            f"{FLAG} {given}: translates between {other.data.domains}, not {config.data.domains}; give --domains "
            f"{other.data.domains} and the data in that order"
        )
    missing = [direction for direction in config.directions if direction not in other.directions]
    if missing:
        raise UserError(
            f"{FLAG} {given}: has no {' and no '.join(missing)}; give --set direction={other.directions[0]}"
        )
    if other.data.neighbours != config.data.neighbours:
        raise UserError(
            f"{FLAG} {given}: sees {other.data.neighbours} neighbours on either side and this config "
            f"{config.data.neighbours}; give --set neighbours={other.data.neighbours}"
        )
    theirs = system_class(other.model).build_inference(other, policy="float32")
    mine = system_class(config.model).build_inference(config, policy="float32")
    load_weights(run, theirs)
    for direction, network in mine.items():
        shapes = [[tuple(weight.shape) for weight in one.weights] for one in (network, theirs[direction])]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{FLAG} {given}: its {other.model} generators ({theirs[direction].count_params():,} parameters) are "
                f"not those of this config ({network.count_params():,}); give the --model, --channels and generator "
                f"settings of {run / 'config.yaml'}"
            )
    return {direction: theirs[direction].get_weights() for direction in mine}
