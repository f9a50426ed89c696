"""`model.backbone_checkpoint: random`: the control that says what pretraining itself brings.

A pose model on random weights of the same shape has the same head, labels and optimiser; whatever
it lacks against the pretrained one is what was learned from unlabelled video.
"""

import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from beast_lp.config import parse_config
from beast_lp.config.presets import PRESETS
from beast_lp.errors import BeastError
from beast_lp.host.compose import absolute_path, pose_image_size
from beast_lp.host.names import RANDOM
from beast_lp.runs.seeds import derive_seed
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import random_encoder
from beast_lp.vit.save import encoder_to_transformers
from beast_lp.vit.weights import EncoderWeights, read_encoder


def resolve_random(checkpoint: str, cfg: DictConfig) -> str:
    """Return a setting that names the shape and the seed of random weights.

    Args:
        checkpoint: `random` (of the shape that the `beast:` section describes), or `random:` and
            the name of a preset, or a checkpoint whose shape is to be used.
        cfg: pose config; `training.rng_seed_model_pt` is the seed.

    Raises:
        BeastError: if the shape cannot be found.
    """
    like = checkpoint.partition(':')[2]
    if like.startswith('{'):
        return checkpoint
    shape = _shape(like, cfg)
    seed = int(OmegaConf.select(cfg, 'training.rng_seed_model_pt', default=None) or 0)
    # whatever becomes of the checkpoint, the config of the pose model says what was trained
    return random_name(shape, seed)


def random_name(shape: Architecture, seed: int) -> str:
    """Return the setting that names random weights.

    Args:
        shape: shape of the encoder.
        seed: seed of the weights.
    """
    return f'{RANDOM}:' + json.dumps({'seed': seed, 'shape': shape.to_json()})


def shape_like(like: str) -> Architecture:
    """Return the shape of a preset, or of a checkpoint.

    Args:
        like: name of a preset, or path of a checkpoint.

    Raises:
        BeastError: if there is no such checkpoint.
    """
    if like in PRESETS:
        return Architecture.from_config(parse_config({'preset': like}).model)
    return read_encoder(like).architecture


def _shape(like: str, cfg: DictConfig) -> Architecture:
    section = cfg.get('beast')
    if like in PRESETS:
        section = {'preset': like}
    elif like:
        return read_encoder(absolute_path(like, cfg)).architecture
    elif section is None:
        raise BeastError(
            'random weights need a size: write model.backbone_checkpoint=random:laptop (or '
            'another preset), or random: and a checkpoint of the wanted shape'
        )
    return Architecture.from_config(parse_config(section, pose_image_size(cfg)).model)


def random_weights(checkpoint: str) -> EncoderWeights:
    """Return random weights, as a pretraining from random weights begins with them.

    Args:
        checkpoint: what `resolve_random` returned.
    """
    values = json.loads(checkpoint.partition(':')[2])
    shape = Architecture.from_json(values['shape'], Path('model.backbone_checkpoint'))
    encoder = random_encoder(shape, derive_seed(values['seed'], 'random backbone'))
    return EncoderWeights(shape, encoder_to_transformers(encoder), Path('random weights'), {})
