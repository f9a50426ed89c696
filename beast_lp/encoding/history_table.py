"""Tables of what sources add to each neuron's own past."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from beast_lp.encoding.covariates import drift
from beast_lp.encoding.evaluate import main_score
from beast_lp.encoding.evaluation_file import load_rates
from beast_lp.encoding.history import history_rates
from beast_lp.encoding.pool import Result
from beast_lp.encoding.session import Session
from beast_lp.encoding.significance import standard_error
from beast_lp.encoding.tables import DRIFT
from beast_lp.errors import BeastError

logger = logging.getLogger(f'lightning_pose.{__name__}')


def check_history(sessions: Sequence[Session], bins: int) -> None:
    """Check, before the first fit, that there are spikes to take a past from.

    Args:
        sessions: all sessions.
        bins: bins of history; 0 for none.

    Raises:
        BeastError: if history is asked of traces.
    """
    if bins and not all(session.is_counts for session in sessions):
        raise BeastError(
            'beast.encoding.history_bins is for the past of spikes, but the sessions hold calcium '
            'traces; set it to 0'
        )


def history_table(results: Sequence[Result], bins: int) -> pd.DataFrame:
    """Return one row per session, source, encoder and neuron.

    Args:
        results: all results; the model of drift adds nothing to itself and has no row.
        bins: bins of history.

    Returns:
        `history`, bits per spike of drift and the neuron's own past, and `over_history`, what the
        rates of an encoder add to both.
    """
    tables, alone = [], {}
    for result in results:
        session = result.session
        if result.source == DRIFT:
            continue
        if session.name not in alone:
            logger.info(
                f'beast: session {session.name}: the past of {len(session.names)} neurons is '
                f'fitted, {bins} bins of {session.bins.width * 1000:g} ms'
            )
            alone[session.name] = _bits(session, bins)
        history = alone[session.name]
        both = _bits(session, bins, load_rates(result.file))
        tables.append(
            pd.DataFrame(
                {
                    'session': session.name,
                    'neuron': session.names,
                    'region': session.regions,
                    'source': result.source,
                    'encoder': result.encoder,
                    'history': history,
                    'over_history': both - history,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def with_history(comparison: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison of sources with the means over neurons of `history_table`.

    Args:
        comparison: result of `comparison_table`.
        history: result of `history_table`.
    """
    keys = ['source', 'encoder']
    groups = history.groupby(keys, sort=False)
    means: Any = groups[['history', 'over_history']].mean().add_suffix('_mean')
    errors = groups['over_history'].agg(lambda own: standard_error(own.to_numpy(np.float64)))
    means['over_history_sem'] = errors
    return comparison.merge(means.reset_index(), how='left', on=keys)


def _bits(
    session: Session,
    bins: int,
    rates: Float[np.ndarray, 'bins neurons'] | None = None,
) -> Float[np.ndarray, ' neurons']:
    """Return bits per spike of each neuron by its past, and by rates beside it."""
    waves = drift(session.clock, len(np.unique(session.unit)))
    predicted = history_rates(
        session.responses, session.bins.group, session.folds, waves, bins, rates
    )
    return main_score(session, predicted)
