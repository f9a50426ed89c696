"""What came out of an encoding run, in sentences and in a table for people."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from beast_lp.encoding.tables import DRIFT, EVIDENCE, NO_EVIDENCE
from beast_lp.reports.encoding_figures import control_names
from beast_lp.reports.style import three_digits

# columns of the comparison that the page leaves out: they repeat others, or are texts
_LEFT_OUT = (
    'score',
    'bps_train_null_pooled',
    'drift',
    'behind_best_from',
    'behind_best_to',
    'shift_p',
    'permutation_p',
    'shift_draws',
    'permutation_draws',
)
# columns of the comparison on which no verdict rests
_FURTHER = (
    'sem_neurons',
    'sem_sessions',
    'bps_train_null_mean',
    'variance_explained',
    'r_squared',
    'permutation 95 %',
    'drift alone',
    'behind_best',
)
HOW_TO_READ = (
    'One row per source of features and encoder. Each trial or block of time is predicted once, '
    'by a model that has seen neither it nor its choice of hyper-parameters. Bits per spike '
    'compare the rates with a constant rate: bps_pooled over all spikes (as the Neural Latents '
    "Benchmark), bps_mean over the neurons (as the BEAST paper), both against each neuron's "
    'mean rate in the bins that are scored. bps_train_null_mean compares with the mean rate of '
    'the rest instead, which flatters every model where rates drift; it is here because some '
    'references use it. sem_neurons and sem_sessions are standard errors over neurons and '
    'sessions, behind_best is the difference to the best source with the same encoder.\n\n'
    'over_drift is what the features add to a model of slow drift, which competes with them for '
    'whatever changes slowly. It is compared with what the same features add after they were '
    'rotated against the spikes (95 % of the draws lie in the band; p is the share of draws '
    'that add as much, by an encoder that chooses and fits anew for each). significant counts '
    'the neurons that are above it at a false discovery rate of 5 % (Benjamini and Hochberg).'
)


def findings(comparison: pd.DataFrame, unit: str) -> list[tuple[bool | None, str]]:
    """Say of each source, the best first, whether it is evidence of encoding.

    Args:
        comparison: result of `encoding.tables.comparison_table`, the best first.
        unit: unit of the scores.

    Returns:
        Sentences, each with whether it is good news (None: neither).
    """
    # of each source its best encoder; the others are in the table
    best_of: dict[str, dict[Hashable, Any]] = {}
    for row in comparison.loc[comparison['source'] != DRIFT].to_dict('records'):
        best_of.setdefault(str(row['source']), row)
    rows = list(best_of.values())
    found: list[tuple[bool | None, str]] = []
    best = rows[0]
    if best['score'] <= 0:
        found.append(
            (
                False,
                'No source predicts these neurons better than a constant rate: the best, '
                f'{best["source"]} with {best["encoder"]}, has {three_digits(best["score"])} '
                f'{unit}.',
            )
        )
    news = {EVIDENCE: True, NO_EVIDENCE: False}
    return [
        *found,
        *((news.get(str(row['verdict'])), _verdict(row)) for row in rows),
    ]


def verdicts(comparison: pd.DataFrame) -> list[str]:
    """Return one sentence per result, which says whether it is evidence of encoding.

    Args:
        comparison: result of `encoding.tables.comparison_table`.
    """
    return [_verdict(row) for row in comparison.to_dict('records') if row['source'] != DRIFT]


def _verdict(row: dict[Hashable, Any]) -> str:
    name = f'{row["source"]} with {row["encoder"]} ({three_digits(row["score"])})'
    added = f'{three_digits(row["over_drift"])} to slow drift ({three_digits(row["drift"])})'
    tested = f'p = {three_digits(row["shift_p"])}, {row["shift_draws"]:.0f} circular shifts'
    if row['verdict'] == EVIDENCE:
        return f'{name} is evidence of encoding: it adds {added}, {tested}.'
    if row['verdict'] == NO_EVIDENCE:
        return f'{name} is NOT evidence of encoding: it adds {added}, {tested}.'
    if not np.isfinite(row['over_drift']):
        return f'{name} has no verdict: there is nothing to score.'
    return f'{name} adds {added}; without circular shifts there is no verdict.'


def table_for_people(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that fit on a page, the best result first, numbers rounded.

    Args:
        comparison: result of `encoding.tables.comparison_table`.

    Returns:
        A table with each control's 95 % band as one text.
    """
    table = comparison.sort_values('score', ascending=False)
    controls = control_names(table)
    bands = [f'{name}_{end}' for name in controls for end in ('low', 'high')]
    shown = table.drop(columns=[*bands, *_LEFT_OUT], errors='ignore')
    # traces have no bits per spike
    shown = shown.dropna(axis='columns', how='all')
    names = list(shown.columns)
    verdict = names.index('verdict') if 'verdict' in names else len(names)
    for name in controls:
        if not np.isfinite(table[f'{name}_low']).any():
            continue
        texts = [
            f'{three_digits(low)} to {three_digits(high)}' if np.isfinite(low) else ''
            for low, high in zip(table[f'{name}_low'], table[f'{name}_high'], strict=True)
        ]
        shown.insert(verdict, f'{name} 95 %', pd.Series(texts, shown.index))
    if 'shift_p' in table and np.isfinite(table['shift_p']).any():
        shown.insert(verdict, 'p', pd.Series(table['shift_p']).round(4))
    shown['drift alone'] = table['drift']
    return shown.round(4)


def page_tables(comparison: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `table_for_people` in two parts that are each no wider than a page.

    Args:
        comparison: result of `encoding.tables.comparison_table`.

    Returns:
        What the verdict rests on, and further measures of the same rows.
    """
    table = table_for_people(comparison)
    keys = ['source', 'encoder']
    # traces have no bits per spike, and are scored by what they explain
    further = [
        name
        for name in _FURTHER
        if name in table and not (name == 'variance_explained' and 'bps_pooled' not in table)
    ]
    return table.drop(columns=further), table.filter([*keys, *further])
