"""The choice of the contrastive weight by short runs."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.tune import choose, chosen_weight, short_epochs, summarise, tune

TinyConfig = Callable[..., BeastConfig]


def _table(probe: list[float], retrieval: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            'contrastive_weight': [0.0, 0.03, 0.1],
            'epochs': 5,
            'probe_px': probe,
            'val_cls_retrieval': retrieval,
            'val_reconstruction': 0.5,
        }
    )


def test_the_probe_decides_where_there_is_one_and_retrieval_elsewhere() -> None:
    weight, criterion = choose(_table([9.0, 8.0, 8.5], [0.1, 0.2, 0.9]))
    assert weight == 0.03 and 'probe' in criterion
    weight, criterion = choose(_table([math.nan] * 3, [0.1, 0.2, 0.9]))
    assert weight == 0.1 and 'positives' in criterion


def test_a_short_run_is_summarised_by_its_end() -> None:
    metrics = pd.DataFrame(
        {
            'val_cls_retrieval': [0.0, 0.1, 0.2, 0.3],
            'val_reconstruction': [9.0, 3.0, 2.0, 1.0],
            'probe_px': [math.nan, math.nan, math.nan, 7.0],
        }
    )
    row = summarise(0.03, metrics)
    assert row == {
        'contrastive_weight': 0.03,
        'epochs': 4.0,
        'val_cls_retrieval': pytest.approx(0.2),
        'val_reconstruction': pytest.approx(2.0),
        'probe_px': 7.0,
    }
    assert math.isnan(summarise(0.0, metrics.drop(columns=['probe_px']))['probe_px'])


def test_finished_short_runs_are_not_repeated(tmp_path: Path) -> None:
    made: list[float] = []

    def train(weight: float) -> pd.DataFrame:
        made.append(weight)
        if len(made) == 2:
            raise RuntimeError('killed')
        return pd.DataFrame({'val_cls_retrieval': [weight], 'val_reconstruction': [1.0]})

    path = tmp_path / 'tune.csv'
    with pytest.raises(RuntimeError):
        tune([0.0, 0.1, 0.03], path, train)
    assert chosen_weight(path) is None
    assert tune([0.0, 0.1, 0.03], path, train) == 0.1
    assert made == [0.0, 0.1, 0.1, 0.03]
    assert chosen_weight(path) == 0.1
    # and the choice stands
    assert tune([0.0, 0.1, 0.03], path, train) == 0.1
    assert len(made) == 4


@pytest.mark.parametrize(('epochs', 'short'), [(800, 80), (201, 21), (20, 5), (3, 3)])
def test_short_runs_are_short(
    tiny_config: TinyConfig,
    epochs: int,
    short: int,
) -> None:
    assert short_epochs(tiny_config(training={'epochs': epochs})) == short


def test_a_run_tunes_and_goes_on_with_the_best(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    config = tiny_config(
        tune=[0.0, 0.3],
        training={
            'epochs': 6,
            'validation_fraction': 0.4,
        },
    )
    files = RunFiles(tmp_path / 'out')
    run_pretraining(config, videos, files.directory)
    table = pd.read_csv(files.tune / 'tune.csv')
    assert table.contrastive_weight.tolist() == [0.0, 0.3]
    assert table.epochs.tolist() == [5, 5]
    assert table.chosen.sum() == 1
    chosen = float(table.contrastive_weight[table.val_cls_retrieval.idxmax()])
    assert read_run_config(files).loss.contrastive_weight == chosen
    # one store for all runs, and the checkpoints of the short ones are gone
    assert len(list(files.directory.rglob('index.csv'))) == 1
    assert len(list(files.directory.rglob('last.ckpt'))) == 1
    metrics = pd.read_csv(files.metrics)
    assert len(metrics) == 6
    assert ('train_contrastive' in metrics) == (chosen > 0)

    # the same as with that weight from the start
    plain = tiny_config(
        loss={'contrastive_weight': chosen},
        training={
            'epochs': 6,
            'validation_fraction': 0.4,
        },
    )
    run_pretraining(plain, videos, tmp_path / 'plain')
    np.testing.assert_allclose(
        metrics.val_loss,
        pd.read_csv(tmp_path / 'plain' / 'metrics.csv').val_loss,
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'tune': [0.1, 0.1]}, 'twice'),
        ({'tune': [-1.0]}, 'beast.tune must be at least 0'),
        ({'tune': [0.1], 'training': {'validation_fraction': 0.0}}, 'held-out'),
        ({'tune': [0.1, 0.0], 'loss': {'reconstruction_weight': 0.0}}, 'would learn nothing'),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    tiny_config: TinyConfig,
    changes: dict,
    words: str,
) -> None:
    with pytest.raises(BeastError, match=words):
        tiny_config(**changes)
