"""Encoders by name, and which of them a run fits.

Adding a new encoder:

1. write a subclass of `beast_lp.encoding.folded.FoldedEncoder` in a file of its own, whose
   constructor needs nothing but `Options`, and test it with the others in
   `tests/encoding/test_encoders.py`
2. add its class to `ENCODERS` below, and its name with one line of help to
   `beast_lp.config.encoding.ENCODERS`
"""

from collections.abc import Callable

import torch

from beast_lp.config.encoding import DEFAULT_ENCODERS, EncodingConfig
from beast_lp.encoding.encoder import Encoder, Options
from beast_lp.encoding.poisson_rrr import PoissonReducedRank
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.rrr import ReducedRank
from beast_lp.encoding.tcn import Tcn
from beast_lp.encoding.trial_rrr import TrialReducedRank
from beast_lp.errors import BeastError

ENCODERS: dict[str, Callable[[Options], Encoder]] = {
    'ridge': Ridge,
    'rrr': ReducedRank,
    'poisson_rrr': PoissonReducedRank,
    'trial_rrr': TrialReducedRank,
    'tcn': Tcn,
}


def choose_encoders(config: EncodingConfig, is_counts: bool) -> list[str]:
    """Return the encoders that the config names, or else the defaults.

    Args:
        config: settings of the stage.
        is_counts: whether the responses are spike counts; traces otherwise.

    Raises:
        BeastError: if the config names the Poisson form, and the responses are traces.
    """
    if config.encoders is None:
        return list(DEFAULT_ENCODERS)
    if not is_counts and 'poisson_rrr' in config.encoders:
        raise BeastError(
            'poisson_rrr predicts spike counts, and the responses are traces; leave it out of '
            'beast.encoding.encoders'
        )
    return config.encoders


def build_encoder(name: str, config: EncodingConfig, is_counts: bool, seed: int) -> Encoder:
    """Return an encoder that is not fitted yet.

    Args:
        name: key of `ENCODERS`.
        config: settings of the stage.
        is_counts: whether the responses are spike counts; traces otherwise.
        seed: seed of the encoder's random draws.
    """
    return ENCODERS[name](build_options(config, is_counts, seed))


def build_options(config: EncodingConfig, is_counts: bool, seed: int) -> Options:
    """Return the settings of all encoders.

    Args:
        config: settings of the stage.
        is_counts: whether the responses are spike counts; traces otherwise.
        seed: seed of random draws.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    return Options(is_counts, config.smoothing_bins, seed, device)
