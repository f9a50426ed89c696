"""The encoding stage as a host user meets it: from features and spikes to a report."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from beast_lp.config import BeastConfig
from beast_lp.encoding.stage import EncodingFiles, run_encoding
from beast_lp.encoding.tables import comparison_table
from beast_lp.reports.encoding import table_for_people, verdicts, write_encoding_report

logger = logging.getLogger(f'lightning_pose.{__name__}')


def encode(
    config: BeastConfig,
    spikes: Sequence[tuple[str, Path]],
    features: Sequence[tuple[str, Path]],
    output_dir: Path,
) -> pd.DataFrame:
    """Run the encoding stage, draw its report and say what came out.

    Args:
        config: all settings.
        spikes: name and path of each session.
        features: name and path of each source.
        output_dir: folder of the run; a run that was interrupted there is resumed.

    Returns:
        one row per source and encoder.

    Raises:
        BeastError: for anything that the user can mend.
    """
    results = run_encoding(config, spikes, features, output_dir)
    write_encoding_report(output_dir, results)
    comparison = comparison_table(results)
    table = table_for_people(comparison).to_string(index=False)
    logger.info(
        f'\n{table}\n\n' + '\n'.join(verdicts(comparison)) + '\n\n'
        f'beast: look at {output_dir / "report.html"}\n'
        f'  per neuron   {EncodingFiles(output_dir).neurons}\n'
        f'  rates        {output_dir / "rates"}'
    )
    return comparison
