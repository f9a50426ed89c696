"""The choice of the contrastive weight by short runs."""

import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import BeastConfig
from beast_lp.config.checks import MOST_SEED
from beast_lp.config.pretraining import LEAST_FRAMES
from beast_lp.errors import BeastError
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.tune import (
    LEAST_TUNE_STEPS,
    chosen_weight,
    compare,
    reason,
    short_run,
    short_steps,
    summarise,
    tune,
)
from beast_lp.video.labelled import LabelledFrames, read_labels

TinyConfig = Callable[..., BeastConfig]


def _table(*errors: tuple[float, float]) -> pd.DataFrame:
    """Return two runs of the weights 0, 0.03 and 0.1, which retrieve better the greater it is."""
    rows = [
        (weight, seed, error, 10 * weight)
        for weight, pair in zip((0.0, 0.03, 0.1), errors, strict=True)
        for seed, error in enumerate(pair)
    ]
    names = ['contrastive_weight', 'seed', 'probe_px', 'val_cls_retrieval']
    return pd.DataFrame(rows, columns=pd.Index(names))


def _chosen(table: pd.DataFrame) -> float:
    (weight,) = set(table.contrastive_weight[table.chosen])
    return weight


def test_the_best_weight_is_chosen_where_it_is_better_by_more_than_chance() -> None:
    table = compare(_table((9.0, 9.5), (8.0, 8.25), (6.5, 7.0)), own=0.03)
    assert _chosen(table) == 0.1
    assert table.spread_px.tolist() == [0.5] * 6
    assert table.mean_px.tolist() == [9.25, 9.25, 8.125, 8.125, 6.75, 6.75]
    assert table.gain_px.tolist() == [-1.125, -1.125, 0, 0, 1.375, 1.375]
    assert 'its error of the probe, 6.75 px' in reason(table)
    assert '1.4 px lower' in reason(table) and 'differ by 0.5 px' in reason(table)


def test_the_weight_of_the_config_stays_where_chance_does_as_much() -> None:
    # also where another one is best, and where the spread is that of a third
    table = compare(_table((7.0, 9.5), (8.0, 8.25), (7.0, 7.25)), own=0.03)
    assert _chosen(table) == 0.03
    assert "the config's own weight stays" in reason(table)
    assert 'the best one (0.1) is only 1 px better' in reason(table)
    assert 'by as much as 2.5 px' in reason(table)


def test_the_weight_of_the_config_may_be_the_best() -> None:
    table = compare(_table((9.0, 9.5), (6.0, 6.25), (8.0, 8.0)), own=0.03)
    assert _chosen(table) == 0.03
    assert "the config's own weight has the lowest error of the probe (6.12 px" in reason(table)


def test_what_the_weight_itself_optimises_does_not_count() -> None:
    errors = (5.0, 5.0), (8.0, 8.0), (9.0, 9.0)
    with_retrieval = compare(_table(*errors), own=0.1)
    without = compare(_table(*errors).drop(columns='val_cls_retrieval'), own=0.1)
    assert _chosen(with_retrieval) == _chosen(without) == 0.0


def test_a_short_run_is_summarised_by_its_end() -> None:
    metrics = pd.DataFrame(
        {
            'step': [375, 750, 1125, 1500],
            'val_cls_retrieval': [0.0, 0.1, 0.2, 0.3],
            'val_reconstruction': [9.0, 3.0, 2.0, 1.0],
            'probe_px': [math.nan, math.nan, math.nan, 7.0],
        }
    )
    row = summarise(0.03, 5, metrics)
    assert row == {
        'contrastive_weight': 0.03,
        'seed': 5,
        'steps': 1500,
        'val_cls_retrieval': pytest.approx(0.2),
        'val_reconstruction': pytest.approx(2.0),
        'probe_px': 7.0,
    }
    # a run that holds nothing out
    assert math.isnan(
        summarise(0.0, 5, metrics.filter(['step', 'probe_px']))['val_reconstruction']
    )


def test_finished_short_runs_are_not_repeated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made: list[tuple[float, int]] = []

    def train(weight: float, seed: int) -> pd.DataFrame:
        made.append((weight, seed))
        if len(made) == 2:
            raise RuntimeError('killed')
        return pd.DataFrame({'step': [1500], 'probe_px': [9 - 10 * weight + 0.1 * seed]})

    path = tmp_path / 'tune.csv'
    with pytest.raises(RuntimeError):
        tune([0.0, 0.1], 0.03, 7, path, train)
    assert chosen_weight(path) is None
    assert tune([0.0, 0.1], 0.03, 7, path, train) == 0.1
    # the weight of the config is tried too, and one seed of all weights comes first
    first, second = [(0.0, 7), (0.1, 7), (0.03, 7)], [(0.0, 8), (0.1, 8), (0.03, 8)]
    assert made == [*first[:2], *first[1:], *second]
    assert chosen_weight(path) == 0.1
    assert 'short run 6 of 6' in caplog.text
    assert 'beast: training with contrastive_weight=0.1: its error' in caplog.text
    # and the choice stands
    assert tune([0.0, 0.1], 0.03, 7, path, train) == 0.1
    assert len(made) == 7


def test_runs_of_an_older_version_do_not_count_but_its_choice_does(tmp_path: Path) -> None:
    path = tmp_path / 'tune.csv'
    older = pd.DataFrame(
        {'contrastive_weight': [0.0, 0.03], 'epochs': 5, 'val_cls_retrieval': [0.1, 0.2]}
    )
    older.iloc[:1].to_csv(path, index=False)
    made: list[float] = []

    def train(weight: float, seed: int) -> pd.DataFrame:
        made.append(weight)
        return pd.DataFrame({'step': [1500], 'probe_px': [1.0]})

    assert tune([0.0], 0.03, MOST_SEED, path, train) == 0.03
    assert made == [0.0, 0.03] * 2
    # after the largest seed comes the smallest
    assert set(pd.read_csv(path).seed) == {MOST_SEED, 0}
    older.assign(chosen=[True, False]).to_csv(path, index=False)
    assert chosen_weight(path) == 0.0


def test_short_runs_are_as_long_as_it_takes_to_learn(tiny_config: TinyConfig) -> None:
    assert short_steps(100_000) == 10_000
    assert short_steps(LEAST_TUNE_STEPS + 1) == short_steps(10_000) == LEAST_TUNE_STEPS
    assert short_steps(20) == 20
    config = short_run(tiny_config(tune=[0.0], training={'epochs': 800}), 0.5, 9, 2000)
    assert config.training.steps == LEAST_TUNE_STEPS
    assert (config.tune, config.seed, config.loss.contrastive_weight) == ([], 9, 0.5)
    # once, at its end
    assert config.probe.every_epochs == config.training.num_epochs


def test_without_labels_there_is_no_choice(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    labelled_project: tuple[Path, np.ndarray],
) -> None:
    # as the help of beast.tune says
    assert LEAST_FRAMES == 10
    labels = read_labels([labelled_project[0]], tmp_path)
    few = LabelledFrames(
        labels.images[:9], labels.keypoints, labels.positions[:9], labels.names[:9]
    )
    config = tiny_config(tune=[0.0, 0.3])
    for given, count in ((None, 0), (few, 9)):
        with pytest.raises(BeastError, match=f'needs 10 labelled frames.*, found {count}; label'):
            run_pretraining(config, videos, tmp_path / 'out', labels=given)
    # before anything was made
    assert not (tmp_path / 'out').exists()


def test_a_run_tunes_and_trains_with_the_choice(
    tiny_config: TinyConfig,
    videos: list[Path],
    tmp_path: Path,
    labelled_project: tuple[Path, np.ndarray],
) -> None:
    labels = read_labels([labelled_project[0]], tmp_path)
    training = {'epochs': 2, 'validation_fraction': 0.4}
    config = tiny_config(tune=[0.0, 0.3], training=training)
    files = RunFiles(tmp_path / 'out')
    run_pretraining(config, videos, files.directory, labels=labels)
    table = pd.read_csv(files.tune / 'tune.csv')
    own = config.loss.contrastive_weight
    assert table.contrastive_weight.tolist() == [0.0, 0.3, own] * 2
    assert table.seed.tolist() == [0] * 3 + [1] * 3
    # runs of one weight differ by chance, and none is longer than the whole
    metrics = pd.read_csv(files.metrics)
    assert table.steps.tolist() == [metrics.step.iloc[-1]] * 6
    assert (table.spread_px > 0).all()
    chosen = read_run_config(files).loss.contrastive_weight
    assert set(table.contrastive_weight[table.chosen]) == {chosen}
    assert set(compare(table, own).contrastive_weight[compare(table, own).chosen]) == {chosen}
    # one store for all runs, and the checkpoints of the short ones are gone
    assert len(list(files.directory.rglob('index.csv'))) == 1
    assert len(list(files.directory.rglob('last.ckpt'))) == 1
    assert ('train_contrastive' in metrics) == (chosen > 0)

    # the same as with that weight from the start
    plain = tiny_config(loss={'contrastive_weight': chosen}, training=training)
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
        ({'tune': [-1.0]}, 'beast.tune must be between 0 and'),
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
