"""From settings to encoders."""

import logging

import torch

from beast_lp.config.encoding import DEFAULT_ENCODERS, EncodingConfig
from beast_lp.encoding.encoder import Encoder, Options
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.rrr import PoissonReducedRank, ReducedRank
from beast_lp.encoding.tcn import Tcn
from beast_lp.encoding.trial_rrr import TrialReducedRank
from beast_lp.errors import BeastError

logger = logging.getLogger(f'lightning_pose.{__name__}')


def choose_encoders(config: EncodingConfig, is_counts: bool) -> list[str]:
    """Return the encoders that the config asks for, or by default those that suit the responses.

    Args:
        config: settings of the stage.
        is_counts: spike counts, or traces.

    Raises:
        BeastError: if it asks for the Poisson form, and the responses are traces.
    """
    if config.encoders is None:
        if not is_counts:
            logger.info('beast: poisson_rrr is left out, since the responses are no spike counts')
        return [name for name in DEFAULT_ENCODERS if is_counts or name != 'poisson_rrr']
    if not is_counts and 'poisson_rrr' in config.encoders:
        raise BeastError(
            'poisson_rrr predicts spike counts, and the responses are traces; leave it out of '
            'beast.encoding.encoders'
        )
    return config.encoders


def build_encoder(name: str, config: EncodingConfig, is_counts: bool, seed: int) -> Encoder:
    """Return an encoder that is not fitted yet.

    Args:
        name: one of `config.encoding.ENCODERS`.
        config: settings of the stage.
        is_counts: spike counts, or traces.
        seed: of its random draws.
    """
    options = Options(
        is_counts,
        config.lags,
        config.smoothing_bins,
        seed,
        torch.device('cuda' if torch.cuda.is_available() else 'cpu'),
    )
    linear, trial, tcn = config.linear, config.trial_rrr, config.tcn
    if name == 'ridge':
        return Ridge(options, linear.penalties)
    if name == 'rrr':
        return ReducedRank(options, linear.penalties, linear.ranks)
    if name == 'poisson_rrr':
        return PoissonReducedRank(options, linear.poisson_penalties, linear.poisson_rank)
    if name == 'trial_rrr':
        return TrialReducedRank(options, trial.rank, trial.l2, trial.learning_rates)
    return Tcn(options, tcn.learning_rates, tcn.epochs, tcn.kernel)
