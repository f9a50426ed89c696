"""The tables of an encoding run, and the file that says that all of it is done."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from beast_lp.config import BeastConfig
from beast_lp.encoding.history_table import history_table, with_history
from beast_lp.encoding.pool import Result
from beast_lp.encoding.run_files import EncodingFiles
from beast_lp.encoding.session import Session
from beast_lp.encoding.tables import (
    breakdown_table,
    comparison_table,
    difference_table,
    neuron_table,
)
from beast_lp.runs.files import finished_file, write_table

_PACKAGES = ('beast-lp', 'numpy', 'scipy', 'torch')


def write_summary(
    config: BeastConfig,
    files: EncodingFiles,
    settings: Mapping[str, Any],
    sessions: Sequence[Session],
    results: Sequence[Result],
) -> None:
    """Write the tables of a run and, last, its summary.

    Args:
        config: all settings.
        files: files of the run.
        settings: everything by which the run is known again.
        sessions: recordings.
        results: one per session, source and encoder.

    Raises:
        BeastError: if the disk is full.
    """
    comparison = comparison_table(results)
    if config.encoding.history_bins:
        history = history_table(results, config.encoding.history_bins)
        write_table(history, files.history)
        comparison = with_history(comparison, history)
    for table, path in (
        (neuron_table(results), files.neurons),
        (breakdown_table(results), files.breakdown),
        (difference_table(results), files.differences),
        (comparison, files.comparison),
    ):
        write_table(table, path)
    summary: Mapping[str, object] = {
        'settings': settings,
        'seed': config.seed,
        'versions': {name: version(name) for name in _PACKAGES},
        'sessions': {
            session.name: {
                'neurons': len(session.names),
                'bins': len(session.bins),
                'bin_s': session.bins.width,
                'notes': list(session.notes),
            }
            for session in sessions
        },
        # through JSON, so that NaN becomes null
        'comparison': json.loads(str(comparison.to_json(orient='records'))),
        'chosen': [
            {
                'session': result.session.name,
                'source': result.source,
                'encoder': result.encoder,
                **{
                    name: [_plain(value) for value in values.tolist()]
                    for name, values in result.evaluation.chosen.items()
                },
            }
            for result in results
        ],
    }
    with finished_file(files.summary) as part:
        part.write_text(json.dumps(summary, indent=2, ensure_ascii=False), encoding='utf-8')


def _plain(value: float) -> float | str:
    """Return a chosen value as JSON can hold it; an infinite penalty leaves a constant."""
    if np.isinf(value):
        return 'constant'
    return int(value) if float(value).is_integer() else value
