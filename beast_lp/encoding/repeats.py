"""How much of a response is the same in every trial."""

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.session import Session

# trials from which on the estimate is given
_FEWEST = 5


def shared_variance(session: Session) -> Float[np.ndarray, ' neurons']:
    """Return the share of each neuron's variance that its mean time course in a trial explains.

    It is the ceiling of what is repeated: the most that a model of the time in a trial can
    explain, without the noise of a mean over few trials (Sahani & Linden 2003). What differs from
    trial to trial, movement above all, may explain more.

    Args:
        session: session whose bins may be trials of one length.

    Returns:
        shares, NaN where there are no trials of more than one bin.
    """
    bins, neurons = session.responses.shape
    trials = len(np.unique(session.bins.group))
    nothing = np.full(neurons, np.nan)
    if not session.is_trials or trials < _FEWEST or bins % trials or bins == trials:
        return nothing
    responses = session.responses.reshape(trials, -1, neurons).astype(np.float64)
    of_mean = responses.mean(axis=0).var(axis=0, ddof=1)
    within = responses.var(axis=1, ddof=1).mean(axis=0)
    signal = (trials * of_mean - within) / (trials - 1)
    total = responses.reshape(bins, neurons).var(axis=0, ddof=1)
    return np.where(total > 0, signal / np.where(total > 0, total, 1), np.nan)
