"""Action segmentation through `litpose`: every way in, every file out, every bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from warm_litpose import Litpose

from beast_lp.errors import BeastError
from beast_lp.features.pca import frame_pca
from beast_lp.host.compose import compose_config
from beast_lp.host.jobs.segment import train
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.video.read import count_frames, find_videos

SECTION = 'beast.segmentation'


@pytest.fixture(scope='module')
def settings(tiny_pretraining: Path) -> list[str]:
    """Return the overrides of a run of seconds."""
    return [
        f'{SECTION}.source="{tiny_pretraining}"',
        f'{SECTION}.split.test_videos=videos_test',
        f'{SECTION}.fitting.epochs=3',
        f'{SECTION}.fitting.ensemble=2',
    ]


@pytest.fixture(scope='module')
def trained(
    litpose: Litpose,
    tiny_project: Path,
    settings: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return the output directory of a training run."""
    out = tmp_path_factory.mktemp('segmentation') / 'run'
    litpose('segment', 'train', tiny_project, '--output_dir', out, '--overrides', *settings)
    return out


def test_training_writes_models_scores_and_a_report(trained: Path) -> None:
    scores = pd.read_csv(trained / 'scores.csv')
    assert scores['model'].tolist() == [
        'commonest class',
        'logistic regression',
        'model 0',
        'model 1',
        'mean of models',
        'SD of models',
        'ensemble',
    ]
    assert pd.read_csv(trained / 'videos.csv')['video'].tolist() == ['session_02']
    assert (scores['frames'] == 60).all()
    classes = pd.read_csv(trained / 'classes.csv')
    assert classes['class'].tolist() == ['still', 'walk', 'turn', 'groom']
    confusion = pd.read_csv(trained / 'confusion.csv', index_col=0)
    assert classes['frames'].tolist() == confusion.sum(axis=1).tolist()
    assert len(pd.read_csv(trained / 'metrics.csv')) == 2 * 3
    held_out = pd.read_csv(trained / 'held_out' / 'session_02_0-59.csv')
    assert held_out['frame'].tolist() == list(range(60))
    assert set(held_out['predicted']) <= set(classes['class'])
    right = (held_out['predicted'] == held_out['scored']).mean()
    assert right == pytest.approx(scores['accuracy'].iloc[-1], abs=1e-5)
    assert (trained / 'report.html').stat().st_size > 50_000
    assert len(list((trained / 'figures').glob('*.png'))) == 5


def test_prediction_covers_every_frame_of_a_new_video(
    litpose: Litpose,
    tiny_project: Path,
    trained: Path,
    tmp_path: Path,
) -> None:
    video = tiny_project.parent / 'videos_test' / 'session_02.mp4'
    litpose(
        'segment',
        'predict',
        tiny_project,
        '--model_dir',
        trained,
        '--output_dir',
        tmp_path / 'p',
        '--videos',
        video,
        '--clip_seconds',
        1,
        '--nwb',
        '--session_start_time',
        '2026-03-14T15:09:26+01:00',
        '--lightning_action',
        '--overrides',
        f'{SECTION}.decoding.method=none',
    )
    probabilities = pd.read_csv(tmp_path / 'p' / 'session_02_probabilities.csv', index_col=0)
    assert len(probabilities) == count_frames(video)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    labels = read_one_hot(tmp_path / 'p' / 'session_02_labels.csv')
    # the table has six digits, so two classes may tie there
    chosen = probabilities.to_numpy()[np.arange(len(probabilities)), labels.target - 1]
    np.testing.assert_allclose(chosen, probabilities.max(axis=1), atol=1e-5)
    # the held-out video was predicted in training too, by the same models
    before = pd.read_csv(trained / 'held_out' / 'session_02_0-59.csv').iloc[:, 3:]
    np.testing.assert_allclose(probabilities.to_numpy(), before.to_numpy(), atol=1e-4)
    bouts = pd.read_csv(tmp_path / 'p' / 'bouts.csv')
    assert bouts['start_frame'].iloc[0] == 0 and bouts['stop_frame'].iloc[-1] == len(probabilities)
    for file in (
        'report.html',
        'clips/session_02.mp4',
        'nwb/session_02.nwb',
        'review/session_02.html',
        'boris/session_02.boris',
        'lightning_action/features/session_02.csv',
    ):
        assert (tmp_path / 'p' / file).stat().st_size > 0, file


def test_evaluation_repeats_the_scores_of_training(
    litpose: Litpose,
    tiny_project: Path,
    trained: Path,
    tmp_path: Path,
) -> None:
    litpose(
        'segment',
        'evaluate',
        tiny_project,
        '--model_dir',
        trained,
        '--output_dir',
        tmp_path / 'e',
        '--videos',
        tiny_project.parent / 'videos_test',
    )
    found, expected = (pd.read_csv(folder / 'scores.csv') for folder in (tmp_path / 'e', trained))
    pd.testing.assert_frame_equal(found, expected)


def test_behaviours_at_once_go_the_whole_way(
    litpose: Litpose,
    tiny_project: Path,
    settings: list[str],
    tmp_path: Path,
) -> None:
    labels = tmp_path / 'several'
    labels.mkdir()
    for path in (tiny_project.parent / 'behavior').glob('*.csv'):
        table = pd.read_csv(path, index_col=0)
        # whoever walks or turns looks around, too
        table.assign(look=table['walk'] | table['turn']).to_csv(labels / path.name)
    wanted = [*settings, f'{SECTION}.labels="{labels}"', f'{SECTION}.fitting.ensemble=1']
    command = ['segment', 'train', tiny_project, '--output_dir']
    told = litpose(*command, tmp_path / 'one', '--overrides', *wanted, fails=True).stderr
    assert 'two labels on one frame' in told and f'{SECTION}.multi_label=true' in told
    wanted.append(f'{SECTION}.multi_label=true')
    litpose(*command, tmp_path / 'run', '--overrides', *wanted)
    hits = pd.read_csv(tmp_path / 'run' / 'hits.csv')
    assert hits['class'].tolist() == ['still', 'walk', 'turn', 'groom', 'look']

    # the config says nothing of it: the models do
    used = [tiny_project, '--model_dir', tmp_path / 'run']
    videos = ['--videos', tiny_project.parent / 'videos_test']
    exports = ['--clip_seconds', 1, '--nwb', '--lightning_action']
    litpose('segment', 'predict', *used, '--output_dir', tmp_path / 'p', *videos, *exports)
    table = pd.read_csv(tmp_path / 'p' / 'session_02_labels.csv', index_col=0)
    shares = pd.read_csv(tmp_path / 'p' / 'session_02_probabilities.csv', index_col=0)
    np.testing.assert_array_equal(table.drop(columns='background'), shares > 0.5)
    counted = np.zeros_like(shares, dtype=int)
    bouts = pd.read_csv(tmp_path / 'p' / 'bouts.csv')
    for name, start, stop in zip(
        bouts['class'], bouts['start_frame'], bouts['stop_frame'], strict=True
    ):
        counted[start:stop, list(shares).index(name)] += 1
    np.testing.assert_array_equal(counted, shares > 0.5)
    for file in ('report.html', 'clips/session_02.mp4', 'nwb/session_02.nwb'):
        assert (tmp_path / 'p' / file).stat().st_size > 0, file

    new_labels = ['--overrides', f'{SECTION}.labels="{labels}"']
    litpose('segment', 'evaluate', *used, '--output_dir', tmp_path / 'e', *videos, *new_labels)
    found, expected = (pd.read_csv(tmp_path / folder / 'scores.csv') for folder in ('e', 'run'))
    pd.testing.assert_frame_equal(found, expected)


def test_keypoints_go_through_the_same_network(
    tiny_project: Path,
    settings: list[str],
    tmp_path: Path,
) -> None:
    for truth in (tiny_project.parent / 'truth').glob('*_keypoints.csv'):
        name = truth.name.replace('_keypoints', '')
        (tmp_path / name).write_bytes(truth.read_bytes())
    train(
        compose_config(
            tiny_project,
            [
                *settings,
                f'{SECTION}.features=keypoints',
                f'{SECTION}.keypoints_dir="{tmp_path}"',
                f'{SECTION}.decoding.method=viterbi',
            ],
        ),
        tmp_path / 'run',
    )
    assert not (tmp_path / 'run' / 'features').exists()
    assert (tmp_path / 'run' / 'scores.csv').exists()


def test_keypoints_stand_beside_patches(
    litpose: Litpose,
    tiny_project: Path,
    settings: list[str],
    tmp_path: Path,
) -> None:
    points = tmp_path / 'points'
    points.mkdir()
    for truth in (tiny_project.parent / 'truth').glob('*_keypoints.csv'):
        (points / truth.name.replace('_keypoints', '')).write_bytes(truth.read_bytes())
    wanted = [
        *settings,
        f'{SECTION}.features=[patches,keypoints]',
        f'{SECTION}.fitting.ensemble=1',
    ]
    command = ['segment', 'train', tiny_project, '--output_dir', tmp_path / 'run', '--overrides']
    told = litpose(*command, *wanted, fails=True).stderr
    assert f'{SECTION}.features=[patches, keypoints] needs {SECTION}.keypoints_dir' in told
    litpose(*command, *wanted, f'{SECTION}.keypoints_dir="{points}"')
    assert (tmp_path / 'run' / 'features').is_dir()
    used = [tiny_project, '--model_dir', tmp_path / 'run']
    videos = ['--videos', tiny_project.parent / 'videos_test']
    litpose('segment', 'evaluate', *used, '--output_dir', tmp_path / 'e', *videos)
    found, expected = (pd.read_csv(tmp_path / folder / 'scores.csv') for folder in ('e', 'run'))
    pd.testing.assert_frame_equal(found, expected)
    predict = ['segment', 'predict', *used, '--output_dir', tmp_path / 'p', *videos]
    (points / 'session_02.csv').rename(tmp_path / 'session_02.csv')
    told = litpose(*predict, fails=True).stderr
    assert f'there is no {points / "session_02.csv"}, although the features are patches' in told
    # at another place
    moved = [f'{SECTION}.keypoints_dir="{tmp_path}"']
    litpose(*predict, '--lightning_action', '--overrides', *moved)
    before = pd.read_csv(tmp_path / 'run' / 'held_out' / 'session_02_0-59.csv').iloc[:, 3:]
    found = pd.read_csv(tmp_path / 'p' / 'session_02_probabilities.csv', index_col=0)
    np.testing.assert_allclose(found.to_numpy(), before.to_numpy(), atol=1e-4)
    exported = tmp_path / 'p' / 'lightning_action' / 'features' / 'session_02.csv'
    keypoints = pd.read_csv(tmp_path / 'session_02.csv', header=[0, 1, 2], index_col=0)
    places = keypoints.loc[:, [column[2] in ('x', 'y') for column in keypoints.columns]]
    last = pd.read_csv(exported, index_col=0).iloc[:, -places.shape[1] :]
    np.testing.assert_allclose(last.to_numpy(), places.to_numpy(), rtol=1e-4)


def test_components_of_the_frames_go_through_the_same_network(
    tiny_project: Path,
    settings: list[str],
    tmp_path: Path,
) -> None:
    path = tmp_path / 'frame_pca.npz'
    frame_pca(path, find_videos(tiny_project.parent / 'videos'), 4, progress=False)
    wanted = [*settings, f'{SECTION}.source="{path}"']
    with pytest.raises(BeastError, match=r'frame PCA. has no patches; set .*features=cls'):
        train(compose_config(tiny_project, wanted), tmp_path / 'run')
    outcome = train(
        compose_config(tiny_project, [*wanted, f'{SECTION}.features=cls']), tmp_path / 'run'
    )
    assert outcome.summary['size of a frame'] == '4'


def test_a_bad_label_file_ends_in_one_sentence_and_no_result(
    litpose: Litpose,
    tiny_project: Path,
    settings: list[str],
    tmp_path: Path,
) -> None:
    for labels in (tiny_project.parent / 'behavior').glob('*.csv'):
        text = labels.read_text().splitlines(keepends=True)
        (tmp_path / labels.name).write_text(''.join(text[:-5]))
    result = litpose(
        'segment',
        'train',
        tiny_project,
        '--output_dir',
        tmp_path / 'run',
        '--overrides',
        *settings,
        f'{SECTION}.labels="{tmp_path}"',
        fails=True,
    )
    assert 'is shorter than its video: 55 rows, but' in result.stderr
    assert not (tmp_path / 'run' / 'segmenter.json').exists()


def test_a_finished_run_is_not_overwritten(
    tiny_project: Path,
    settings: list[str],
    trained: Path,
) -> None:
    before = (trained / 'scores.csv').read_bytes()
    with pytest.raises(BeastError, match='already holds a finished segmentation run'):
        train(compose_config(tiny_project, settings), trained)
    assert (trained / 'scores.csv').read_bytes() == before
