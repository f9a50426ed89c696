"""Choice of lambda, the weight of the contrastive term, by short runs."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.runs.files import write_table

logger = logging.getLogger(f'lightning_pose.{__name__}')

# epochs whose mean counts: at the end of a short run the measures still vary between epochs
_LAST_EPOCHS = 3
TUNE_TABLE = 'tune.csv'


def short_run(config: BeastConfig, weight: float, probe: bool) -> BeastConfig:
    """Return the settings of a short run with one weight.

    Args:
        config: settings of the whole run.
        weight: weight of the contrastive term.
        probe: whether the probe measures the run at its end, for which the project needs labels.
    """
    epochs = short_epochs(config)
    return replace(
        with_weight(config, weight),
        tune=[],
        training=replace(config.training, epochs=epochs),
        probe=replace(config.probe, every_epochs=epochs if probe else None),
    )


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
        table['contrastive_weight'].astype(float)
        if 'chosen' in table and table['chosen'].astype(str).tolist().count('True') != 1:
            raise ValueError('no weight is chosen')
        return table
    # what pandas raises for damaged tables
    except (ValueError, KeyError) as error:
        raise BeastError(
            f'{table_path} is damaged ({error}); delete it to make the short runs again, or give '
            'another --output_dir'
        ) from error


def short_epochs(config: BeastConfig) -> int:
    """Return the epochs of a short run: a tenth of the whole, at least 5."""
    whole = config.training.epochs
    return min(whole, max(5, math.ceil(whole / 10)))


def summarise(weight: float, metrics: pd.DataFrame) -> dict[str, float]:
    """Return a short run's row of the table, from its own table of metrics."""
    last = metrics.iloc[-_LAST_EPOCHS:]
    row = {'contrastive_weight': weight, 'epochs': float(len(metrics))}
    for name in ('val_cls_retrieval', 'val_reconstruction'):
        row[name] = float(last[name].mean()) if name in last else math.nan
    row['probe_px'] = float(metrics['probe_px'].iloc[-1]) if 'probe_px' in metrics else math.nan
    return row


def choose(table: pd.DataFrame) -> tuple[float, str]:
    """Choose the weight of the best short run.

    Args:
        table: one row per run, as `summarise` returns it.

    Returns:
        the weight, and the criterion in words: the probe's error where all runs have one, else the
        retrieval of held-out positives by CLS, which runs of every weight have. Among equals, the
        first run wins.
    """
    if np.isfinite(table['probe_px'].to_numpy()).all():
        best = table['probe_px'].idxmin()
        criterion = 'the lowest error of the probe on held-out labelled frames'
    else:
        best = table['val_cls_retrieval'].idxmax()
        criterion = 'the highest share of held-out positives found'
    return float(table.loc[best, 'contrastive_weight']), criterion  # type: ignore[arg-type]


def tune(
    weights: Sequence[float],
    table_path: Path,
    train: Callable[[float], pd.DataFrame],
) -> float:
    """Make the short runs that are missing, and choose the weight of the best.

    Args:
        weights: weights to try.
        table_path: table of results, one row per run, with `chosen` once all are made.
        train: function that makes a short run with a weight and returns its table of metrics.

    Returns:
        the chosen weight.
    """
    chosen = chosen_weight(table_path)
    if chosen is not None:
        return chosen
    rows = _read(table_path).to_dict('records') if table_path.exists() else []
    for weight in weights:
        if any(row['contrastive_weight'] == weight for row in rows):
            continue
        logger.info(f'beast: a short run with beast.loss.contrastive_weight={weight:g}')
        rows.append(summarise(weight, train(weight)))
        write_table(pd.DataFrame(rows), table_path)
    table = pd.DataFrame(rows)
    chosen, criterion = choose(table)
    table['chosen'] = table['contrastive_weight'] == chosen
    write_table(table, table_path)
    logger.info(f'beast: training with contrastive_weight={chosen:g} ({criterion})')
    return chosen
