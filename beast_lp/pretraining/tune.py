"""Choice of lambda, the weight of the contrastive term, by short runs."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.config import BeastConfig
from beast_lp.config.checks import MOST_SEED
from beast_lp.config.pretraining import LEAST_FRAMES
from beast_lp.errors import BeastError
from beast_lp.runs.files import write_table

logger = logging.getLogger(f'lightning_pose.{__name__}')

# Steps of a short run. Measured (METHOD.md, section 7): from random weights nothing is learned
# below about 500 steps, and a small model leaves the plateau of the mean picture by about 1,500.
LEAST_TUNE_STEPS = 1500
# runs of each weight, with seeds of their own: the only measure of what chance does
_SEEDS = 2
# epochs whose mean counts: at the end of a short run the measures still vary between epochs
_LAST_EPOCHS = 3
TUNE_TABLE = 'tune.csv'


def check_labels(frames: int) -> None:
    """Check that there are enough labels to choose by.

    Nothing else tells: the retrieval of positives is what the contrastive term itself optimises,
    so that it would always ask for more of it.

    Args:
        frames: number of labelled frames of the project.

    Raises:
        BeastError: if there are too few.
    """
    if frames < LEAST_FRAMES:
        raise BeastError(
            f'beast.tune chooses by the error of the probe, which needs {LEAST_FRAMES} labelled '
            f'frames (data.csv_file), found {frames}; label more, or leave beast.tune out, which '
            'keeps beast.loss.contrastive_weight'
        )


def short_run(config: BeastConfig, weight: float, seed: int, steps: int) -> BeastConfig:
    """Return the settings of a short run, which the probe measures at its end.

    Args:
        config: settings of the whole run.
        weight: weight of the contrastive term.
        seed: seed of the short run.
        steps: steps of the whole run.
    """
    training = replace(config.training, steps=short_steps(steps))
    return replace(
        with_weight(config, weight),
        tune=[],
        seed=seed,
        training=training,
        probe=replace(config.probe, every_epochs=training.num_epochs),
    )


def short_steps(whole: int) -> int:
    """Return the steps of a short run: a tenth of the whole, enough to learn something.

    Args:
        whole: steps of the whole run, than which none is longer.

    Examples:
        >>> short_steps(40_000), short_steps(5000), short_steps(300)
        (4000, 1500, 300)
    """
    return min(whole, max(LEAST_TUNE_STEPS, math.ceil(whole / 10)))


def with_weight(config: BeastConfig, weight: float) -> BeastConfig:
    """Return settings with another weight of the contrastive term."""
    return replace(config, loss=replace(config.loss, contrastive_weight=weight))


def chosen_weight(table_path: Path) -> float | None:
    """Return the weight that a table of short runs names as chosen; None if there is none yet."""
    if not table_path.exists():
        return None
    table = _read(table_path)
    if 'chosen' not in table:
        return None
    return float(table.loc[table['chosen'], 'contrastive_weight'].iloc[0])


def _read(table_path: Path) -> pd.DataFrame:
    """Read the table of short runs."""
    try:
        table = pd.read_csv(table_path)
        weights = table['contrastive_weight'].astype(float)
        if 'chosen' in table:
            table['chosen'] = table['chosen'].astype(str) == 'True'
            if len(set(weights[table['chosen']])) != 1:
                raise ValueError('no weight is chosen')
        return table
    # what pandas raises for damaged tables
    except (ValueError, KeyError) as error:
        raise BeastError(
            f'{table_path} is damaged ({error}); delete it to make the short runs again, or give '
            'another --output_dir'
        ) from error


def summarise(weight: float, seed: int, metrics: pd.DataFrame) -> dict[str, float]:
    """Return a short run's row of the table, from its own table of metrics."""
    last = metrics.iloc[-_LAST_EPOCHS:]
    row = {'contrastive_weight': weight, 'seed': seed, 'steps': int(metrics['step'].iloc[-1])}
    row['probe_px'] = float(metrics['probe_px'].iloc[-1])
    for name in ('val_reconstruction', 'val_cls_retrieval'):
        row[name] = float(last[name].mean()) if name in last else math.nan
    return row


def compare(table: pd.DataFrame, own: float) -> pd.DataFrame:
    """Compare weights with the one that the config gives, and choose.

    The best weight, by the mean error of the probe over its runs, is chosen only where it is
    better than the config's own by more than the spread: the largest difference between two runs
    of one weight, which differ by their seeds alone.

    Args:
        table: one row per run, as `summarise` returns it.
        own: weight of the config, which is among them.

    Returns:
        the table with `mean_px` (mean error of the weight's runs), `gain_px` (by how much that is
        lower than with the config's own weight), `spread_px` (the spread of all runs) and
        `chosen`.

    Examples:
        >>> runs = {'contrastive_weight': [0.0, 0.0, 0.1, 0.1], 'probe_px': [8.0, 9.0, 6.0, 6.5]}
        >>> compare(pd.DataFrame(runs), own=0.0).drop(columns='probe_px').iloc[1:3]
           contrastive_weight  mean_px  gain_px  spread_px  chosen
        1                 0.0     8.50     0.00        1.0   False
        2                 0.1     6.25     2.25        1.0    True
    """
    runs: dict[float, list[float]] = {}
    for weight, error in zip(table['contrastive_weight'], table['probe_px'], strict=True):
        runs.setdefault(float(weight), []).append(float(error))
    means = {weight: sum(errors) / len(errors) for weight, errors in sorted(runs.items())}
    spread = max(max(errors) - min(errors) for errors in runs.values())
    best = min(means, key=means.__getitem__)
    chosen = best if means[own] - means[best] > spread else own
    weights = table['contrastive_weight'].astype(float)
    mean_px = np.array([means[weight] for weight in weights])
    return table.assign(
        mean_px=mean_px,
        gain_px=means[own] - mean_px,
        spread_px=spread,
        chosen=weights == chosen,
    )


def tune(
    weights: Sequence[float],
    own: float,
    seed: int,
    table_path: Path,
    train: Callable[[float, int], pd.DataFrame],
) -> float:
    """Make the short runs that are missing, and choose a weight.

    Args:
        weights: weights to try, besides that of the config.
        own: weight of the config, which stays where none is better by more than chance.
        seed: seed of the whole run.
        table_path: table of results, one row per run, with `chosen` once all are made.
        train: function that makes a short run with a weight and a seed, and returns its table of
            metrics.

    Returns:
        the chosen weight.
    """
    chosen = chosen_weight(table_path)
    if chosen is not None:
        return chosen
    # runs of an older version, which had no seeds of their own, were too short
    earlier = _read(table_path) if table_path.exists() else pd.DataFrame()
    rows = earlier.to_dict('records') if 'seed' in earlier else []
    # one seed of all weights before the next, so that an interrupted choice has compared them all
    seeds = [(seed + number) % (MOST_SEED + 1) for number in range(_SEEDS)]
    runs = [(weight, number) for number, weight in product(seeds, dict.fromkeys([*weights, own]))]
    for place, (weight, number) in enumerate(runs, 1):
        if any((row['contrastive_weight'], row['seed']) == (weight, number) for row in rows):
            continue
        logger.info(
            f'beast: short run {place} of {len(runs)}, with '
            f'beast.loss.contrastive_weight={weight:g} and beast.seed={number}'
        )
        rows.append(summarise(weight, number, train(weight, number)))
        write_table(pd.DataFrame(rows), table_path)
    table = compare(pd.DataFrame(rows), own)
    write_table(table, table_path)
    chosen = float(table.loc[table['chosen'], 'contrastive_weight'].iloc[0])
    logger.info(f'beast: training with contrastive_weight={chosen:g}: {reason(table)}')
    return chosen


def reason(table: pd.DataFrame) -> str:
    """Return the reason why a weight was chosen, with the numbers.

    Args:
        table: as `compare` returns it.
    """
    best = table.loc[table['mean_px'].idxmin()]
    gain, spread = best['gain_px'], best['spread_px']
    weight = f'{best["contrastive_weight"]:g}'
    if gain == 0:
        return (
            "the config's own weight has the lowest error of the probe "
            f'({best["mean_px"]:.3g} px on held-out labelled frames)'
        )
    if best['chosen']:
        return (
            f'its error of the probe, {best["mean_px"]:.3g} px on held-out labelled frames, is '
            f"{gain:.2g} px lower than that of the config's own weight, and runs of one weight "
            f'differ by {spread:.2g} px at most'
        )
    return (
        f"the config's own weight stays, because the best one ({weight}) is only {gain:.2g} px "
        f'better by the probe, and runs of one weight differ by as much as {spread:.2g} px'
    )
