"""Several behaviours at once: read, learned, decoded, scored and written, with tables between."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import BeastConfig, parse_config
from beast_lp.config.segmentation import DecodingConfig
from beast_lp.errors import BeastError
from beast_lp.features.info import FeatureInfo
from beast_lp.features.writer import FeatureWriter
from beast_lp.segmentation.boris import read_boris
from beast_lp.segmentation.boris_labels import events_to_labels
from beast_lp.segmentation.boris_project import boris_project
from beast_lp.segmentation.decode import decode
from beast_lp.segmentation.label_files import find_label_files, load_labels
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.outcome import Outcome
from beast_lp.segmentation.outputs import Prediction, bout_table, one_hot, write_bouts
from beast_lp.segmentation.prediction import load_trained, predict_video, run_evaluation
from beast_lp.segmentation.training import run_training
from beast_lp.segmentation.videos import Inputs, open_videos

FRAMES, NAMES = 900, ('walk', 'groom')


def _behaviours(seed: int) -> np.ndarray:
    """Return which of two behaviours each frame shows: none, either or both, in bouts."""
    rng = np.random.default_rng(seed)
    states = np.concatenate([rng.permutation(4) for _ in range(FRAMES // 100 + 1)])
    return np.stack([(np.repeat(states, 25)[:FRAMES] >> bit) & 1 for bit in (0, 1)], axis=1)


@pytest.fixture(scope='module')
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Return four embedded videos, in which two behaviours oscillate in channels of their own."""
    folder = tmp_path_factory.mktemp('multi')
    (folder / 'labels').mkdir()
    videos = [folder / f'{name}.mp4' for name in 'abcd']
    for seed, video in enumerate(videos):
        video.write_bytes(video.name.encode())
        shown = _behaviours(seed)
        rng, wave = np.random.default_rng(seed + 10), np.arange(FRAMES) * 0.9
        # no single frame tells whether a behaviour is shown, as its channels are near 0 at times
        moves = np.stack([np.sin(wave), np.sin(1.3 * wave + 1)], axis=1) * shown
        values = np.concatenate([moves, np.zeros((FRAMES, 2))], axis=1)
        info = FeatureInfo(video.name, 'x', 'vit', 'abc', 4, frames=FRAMES, fps=25)
        with FeatureWriter(folder / 'features' / video.stem, info) as writer:
            writer.append(
                cls=values + rng.normal(0, 0.3, values.shape),
                frame=np.arange(FRAMES),
                time=np.arange(FRAMES) / 25,
            )
            writer.finish(FRAMES)
        table = pd.DataFrame(shown, columns=pd.Index(NAMES))
        # nobody looked at the first frames
        table.iloc[:50] = -1
        table.to_csv(folder / 'labels' / f'{video.stem}.csv')
    return Inputs(videos, [videos[-1]], folder / 'labels', None, folder / 'features', None)


def _config(**changes: Any) -> BeastConfig:
    return parse_config(
        {
            'segmentation': {
                'multi_label': True,
                'features': 'cls',
                'features_dir': 'features',
                'split': {'test_videos': ['d.mp4']},
                'head': {'hidden_size': 16, 'blocks': 2, 'lags': 2},
                **changes,
            }
        }
    )


def _no_source(name: str) -> Any:
    pytest.fail(f'opened {name}')


@pytest.fixture(scope='module')
def run(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Return a run with the default length, and its scores."""
    folder = tmp_path_factory.mktemp('run') / 'out'
    return folder, run_training(_config(), inputs, folder, _no_source, _no_source)


def _f1(scored: np.ndarray, predicted: np.ndarray) -> float:
    """Return macro-F1, counted frame by frame."""
    values = []
    for number in range(scored.shape[1]):
        pairs = list(zip(scored[:, number], predicted[:, number], strict=True))
        right = sum(bool(a and b) for a, b in pairs)
        values.append(2 * right / max(1, sum(int(a) + int(b) for a, b in pairs)))
    return float(np.mean(values))


def test_overlapping_behaviours_are_told_apart(run: tuple[Path, Outcome]) -> None:
    folder, outcome = run
    shown = _behaviours(3)[50:].astype(bool)
    assert outcome.scores is not None and outcome.classes == NAMES
    rows = outcome.scores.summary.set_index('model')
    predicted = _named(pd.read_csv(folder / 'held_out' / 'd_0-899.csv'))[50:]
    found = float(rows.loc['ensemble', 'macro_f1'])
    assert found == pytest.approx(_f1(shown, predicted), abs=1e-9)
    # the best that one label in each frame can do: all that it names is right, one of two missing
    alone = shown & ~(shown.all(axis=1, keepdims=True) & np.array([[False, True]]))
    turns = shown & ~(
        shown.all(axis=1, keepdims=True) & (np.arange(len(shown)) % 2 == [[0], [1]]).T
    )
    assert found > max(_f1(shown, alone), _f1(shown, turns)) + 0.03
    assert found > rows.loc['commonest class', 'macro_f1'] + 0.2
    assert found > rows.loc['logistic regression', 'macro_f1']
    both, none = shown.all(axis=1), ~shown.any(axis=1)
    assert predicted[both].all(axis=1).mean() > 0.8
    assert (~predicted[none]).all(axis=1).mean() > 0.8
    # three models, of which each is scored too
    assert [name for name in rows.index if name.startswith('model ')] == [
        f'model {number}' for number in range(3)
    ]


def _named(table: pd.DataFrame) -> np.ndarray:
    """Return the behaviours that the column `predicted` names."""
    names = table['predicted'].str.split(' \\+ ', regex=True)
    return np.array([[name in own for name in NAMES] for own in names])


def test_a_finished_model_keeps_the_setting(
    run: tuple[Path, Outcome], inputs: Inputs, tmp_path: Path
) -> None:
    trained = load_trained(run[0], _no_source, _no_source)
    assert trained.labelling is INDEPENDENT and trained.floors[0].labelling is INDEPENDENT
    config = _config().segmentation
    (video,) = open_videos(inputs.videos[3:], config, inputs, tmp_path, None)
    files = find_label_files([video.path], inputs.labels)
    _, labels = load_labels([video], files, trained.config, trained.classes)
    scores = run_evaluation(trained, [video], labels, tmp_path / 'scores').scores
    assert scores is not None and run[1].scores is not None
    # the same models on the same frames
    pd.testing.assert_frame_equal(scores.classes, run[1].scores.classes)
    pd.testing.assert_frame_equal(scores.summary, run[1].scores.summary)

    prediction = predict_video(trained, video)
    table = one_hot(prediction)
    assert list(table) == ['background', *NAMES]
    np.testing.assert_array_equal(table['background'], 1 - table[list(NAMES)].max(axis=1))
    np.testing.assert_array_equal(table[list(NAMES)], prediction.probabilities > 0.5)
    # what is predicted can be read as labels, as it was
    table.to_csv(tmp_path / 'd.csv')
    read = load_labels([video], {video.path: tmp_path / 'd.csv'}, config, NAMES)[1][0]
    np.testing.assert_array_equal(read.target, prediction.labels)


def test_bouts_overlap_and_boris_reads_them(tmp_path: Path) -> None:
    shown = _behaviours(0)
    prediction = Prediction(
        'd',
        tmp_path / 'd.mp4',
        NAMES,
        shown * 0.8 + 0.1,
        INDEPENDENT.from_flags(shown == 1),
        25.0,
        np.arange(FRAMES) / 25,
        labelling=INDEPENDENT,
    )
    table = bout_table([prediction])
    again = np.zeros_like(shown)
    for name, start, stop in zip(
        table['class'], table['start_frame'], table['stop_frame'], strict=True
    ):
        again[start:stop, NAMES.index(name)] += 1
    np.testing.assert_array_equal(again, shown)
    np.testing.assert_allclose(table['probability'], 0.9)
    project = boris_project(prediction)
    events = next(iter(project['observations'].values()))['events']
    rows = [{'Time': t, 'Behavior': name} for t, _, name, *_ in events]
    starts = {name: 0 for name in NAMES}
    for row in rows:
        starts[row['Behavior']] += 1
        row['Behavior type'] = ('STOP', 'START')[starts[row['Behavior']] % 2]
    pd.DataFrame(sorted(rows, key=lambda row: row['Time'])).to_csv(tmp_path / 'd.csv', index=False)
    events = read_boris(tmp_path / 'd.csv', 'd')
    names = ['background', *NAMES]
    read = events_to_labels(
        events, names, prediction.times, tmp_path / 'd.csv', labelling=INDEPENDENT
    )
    np.testing.assert_array_equal(read.labelling.flags(read.target, 3)[:, 1:], shown == 1)
    with pytest.raises(BeastError, match=r'overlap.*set beast\.segmentation\.multi_label=true'):
        events_to_labels(events, names, prediction.times, tmp_path / 'd.csv')


def test_a_video_without_any_behaviour_has_no_bouts(tmp_path: Path) -> None:
    nothing = np.zeros(20, dtype=np.int64)
    times = np.arange(20) / 25
    prediction = Prediction(
        'd',
        tmp_path / 'd.mp4',
        NAMES,
        np.full((20, 2), 0.1),
        nothing,
        25.0,
        times,
        labelling=INDEPENDENT,
    )
    table = bout_table([prediction])
    write_bouts(table, tmp_path / 'bouts.csv')
    assert (tmp_path / 'bouts.csv').read_text().splitlines() == [
        'video,class,start_frame,stop_frame,start_s,stop_s,probability'
    ]
    assert one_hot(prediction)['background'].to_numpy().all()


def test_each_behaviour_is_smoothed_by_itself() -> None:
    rng = np.random.default_rng(0)
    shares = np.clip(_behaviours(0) * 0.4 + 0.3 + rng.normal(0, 0.3, (FRAMES, 2)), 0.01, 0.99)
    for decoding in (
        DecodingConfig(),
        DecodingConfig('viterbi'),
        DecodingConfig('viterbi', min_bout_frames=9),
    ):
        flags = INDEPENDENT.flags(decode(shares, decoding, INDEPENDENT), 2)
        for number in (0, 1):
            pair = np.stack([1 - shares[:, number], shares[:, number]], axis=1)
            np.testing.assert_array_equal(flags[:, number], decode(pair, decoding))


def test_behaviours_that_cannot_be_learned_get_a_sentence(inputs: Inputs, tmp_path: Path) -> None:
    changed = replace(inputs, labels=tmp_path)
    for video in inputs.videos:
        table = pd.read_csv(inputs.labels / f'{video.stem}.csv', index_col=0)
        table.assign(breathe=np.where(table['walk'] == -1, -1, 1)).to_csv(
            tmp_path / f'{video.stem}.csv'
        )
    with pytest.raises(BeastError, match='breathe is shown in all 2550 scored training frames'):
        run_training(_config(), changed, tmp_path / 'out', _no_source, _no_source)
    with pytest.raises(BeastError, match=r'two labels on one frame.*multi_label=true'):
        run_training(
            _config(multi_label=False), changed, tmp_path / 'out2', _no_source, _no_source
        )
