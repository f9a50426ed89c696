"""What several seeds say together: means with confidence intervals, and paired differences."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
# what a summary has a row for
GROUP = ['task', 'labels', 'backbone']


class Interval(NamedTuple):
    """A mean and the interval of Student's t around it; no interval for a single value."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of values and the interval that holds the true one this often.

    Args:
        values: at least one, finite, taken to be independent draws of a normal distribution.
        confidence: share of all such intervals that hold the true mean.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, np.nan, np.nan)
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def summarise(results: pd.DataFrame, reference: str = 'random') -> pd.DataFrame:
    """Return a row per task, number of labels and backbone.

    Args:
        results: one row per cell: `task`, `labels`, `backbone`, `seed`, `better` (`higher` or
            `lower`) and `score`.
        reference: the backbone that the others are compared with, seed by seed: equal seeds have
            equal splits and labelled frames.

    Returns:
        `seeds` and `mean` with its interval, `low` to `high`; `gain` over the reference, positive
        where the backbone is better, likewise; NaN where there are too few seeds.
    """
    rows = []
    scores_of = {
        key: group.set_index('seed')['score'] for key, group in results.groupby(GROUP, sort=False)
    }
    better = results.groupby('task')['better'].first()
    for (task, labels, backbone), scores in scores_of.items():  # type: ignore[misc]
        mean = t_interval(scores.tolist())
        sign = -1 if better[task] == 'lower' else 1
        others = scores_of.get((task, labels, reference), pd.Series(dtype=float))
        paired = sign * scores.sub(others).dropna()
        gain = t_interval(paired.tolist()) if len(paired) else Interval(*[np.nan] * 3)
        rows.append(
            {
                'task': task,
                'labels': labels,
                'backbone': backbone,
                'seeds': len(scores),
                'mean': mean.mean,
                'low': mean.low,
                'high': mean.high,
                'gain': gain.mean,
                'gain_low': gain.low,
                'gain_high': gain.high,
            }
        )
    return pd.DataFrame(rows)
