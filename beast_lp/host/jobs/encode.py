"""The job of `litpose encode`: from features and spikes to scores and a report."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(f'lightning_pose.{__name__}')

Named = Sequence[tuple[str, Path]]


def named_inputs(
    cfg: DictConfig,
    spikes: Sequence[str],
    features: Sequence[str],
) -> tuple[BeastConfig, Named, Named]:
    """Read the config, and the recordings and sources that it or the command line names.

    Args:
        cfg: pose config.
        spikes: recordings as given on the command line, which take precedence over the config.
        features: sources as given on the command line, likewise.

    Returns:
        the settings; name and path of each session; name and path of each source.

    Raises:
        BeastError: if a setting cannot be used, nothing is named, or a path does not exist.
    """
    config = parse_config(cfg.get('beast'))
    # imported here because pandas takes longer than a look at the config
    from beast_lp.encoding.sources import find_sources, parse_named
    from beast_lp.encoding.spikes import split_recordings

    named_features = parse_named(features or as_list(config.encoding.features), 'features')
    named_spikes = parse_named(spikes or as_list(config.encoding.spikes), 'spikes')
    find_sources(named_features)
    for name, joined in named_spikes:
        for path in split_recordings(joined):
            if not path.exists():
                raise BeastError(f'there are no spikes at {path}; correct the path of {name!r}')
    # given by the names and paths from here on
    config.encoding.features = config.encoding.spikes = None
    return config, named_spikes, named_features


def as_list(value: object) -> list[str]:
    """Return a setting that is absent, a string or a list of strings, as a list."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def encode(
    config: BeastConfig,
    spikes: Named,
    features: Named,
    output_dir: Path,
) -> 'pd.DataFrame':
    """Run the encoding stage, or resume it, draw its report and log the scores.

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
    # imported here because torch takes seconds, and mistakes in the config are reported first
    from beast_lp.encoding.run_files import EncodingFiles
    from beast_lp.encoding.stage import run_encoding
    from beast_lp.encoding.tables import comparison_table
    from beast_lp.reports.encoding import write_encoding_report
    from beast_lp.reports.encoding_verdict import table_for_people, verdicts

    results = run_encoding(config, spikes, features, output_dir)
    write_encoding_report(output_dir, results)
    comparison = comparison_table(results)
    table = table_for_people(comparison).to_string(index=False)
    logger.info(
        f'beast: scores\n\n{table}\n\n' + '\n'.join(verdicts(comparison)) + '\n\n'
        f'  look at      {output_dir / "report.html"}\n'
        f'  per neuron   {EncodingFiles(output_dir).neurons}\n'
        f'  rates        {output_dir / "rates"}'
    )
    return comparison
