"""The synthetic lab: its files, and that its truth is the truth."""

import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from beast_lp.config import parse_config
from beast_lp.demo import FULL, TINY, write_project
from beast_lp.demo.animal import NOSE, SKIN, TAIL, make_look, render
from beast_lp.demo.arena import make_arena
from beast_lp.demo.movement import (
    BEHAVIORS,
    GROOM,
    STILL,
    TURN,
    WALK,
    simulate_movement,
)
from beast_lp.demo.neurons import TARGET_BITS, make_neurons
from beast_lp.demo.skeleton import KEYPOINTS, SIDES, TAIL_SEGMENT, build_skeleton
from beast_lp.encoding.metrics import bits_per_spike
from beast_lp.errors import BeastError


@pytest.fixture(scope='module')
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp('demo') / 'lab', TINY).parent


def _decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def _read_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, header=[0, 1, 2], index_col=0)


def test_layout_holds_every_promised_file(project: Path) -> None:
    files = {path.relative_to(project).as_posix() for path in project.rglob('*') if path.is_file()}
    tables = {name for name in files if not name.startswith('labeled-data/')}
    assert tables == {
        'README.txt',
        'config_demo.yaml',
        'CollectedData.csv',
        'CollectedData_new.csv',
        'videos/session_01.mp4',
        'videos_test/session_02.mp4',
        'truth/session_01_keypoints.csv',
        'truth/session_02_keypoints.csv',
        'behavior/session_01.csv',
        'behavior/session_02.csv',
        # neurons were recorded in the first one
        'spikes/session_01.npz',
    }
    assert len(files - tables) == TINY.labeled_frames + TINY.labeled_frames // 4
    # no half-written neighbour is left behind
    assert [path.name for path in project.parent.iterdir()] == ['lab']


@pytest.mark.parametrize(
    ('table', 'session', 'count'),
    [('CollectedData.csv', 'session_01', 16), ('CollectedData_new.csv', 'session_02', 4)],
)
def test_labels_open_as_the_host_opens_them(
    project: Path, table: str, session: str, count: int
) -> None:
    labels = _read_table(project / table)
    assert labels.columns.names == ['scorer', 'bodyparts', 'coords']
    names = [body_part for _, body_part, coordinate in labels.columns if coordinate == 'x']
    assert names == list(KEYPOINTS)
    assert labels.shape == (count, 2 * len(KEYPOINTS))
    assert labels.index.is_unique
    truth = _read_table(project / 'truth' / f'{session}_keypoints.csv')
    xy = truth.to_numpy().reshape(len(truth), len(KEYPOINTS), 3)[:, :, :2]
    for name, row in labels.iterrows():
        path = project / str(name)
        assert path.parent == project / 'labeled-data' / session
        with Image.open(path) as picture:
            assert picture.size == (TINY.image_side, TINY.image_side)
        frame = int(path.stem.removeprefix('img'))
        np.testing.assert_array_equal(row.to_numpy().reshape(-1, 2), xy[frame])


def test_labels_parse_in_the_host(project: Path) -> None:
    io = pytest.importorskip('lightning_pose.utils.io')
    parsed = io.parse_label_csv(str(project / 'CollectedData.csv'))
    assert parsed.keypoint_names == list(KEYPOINTS)
    assert parsed.keypoints.shape == (TINY.labeled_frames, len(KEYPOINTS), 2)


def test_videos_have_the_declared_frames_and_labels_show_them(project: Path) -> None:
    for video in ('videos/session_01', 'videos_test/session_02'):
        path = project / f'{video}.mp4'
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ('h264', 'yuv420p')
            assert stream.average_rate == TINY.fps
        frames = _decode(path)
        assert len(frames) == TINY.frames_per_video
        assert frames[0].shape == (TINY.image_side, TINY.image_side, 3)
        pictures = sorted((project / 'labeled-data' / path.stem).iterdir())
        for picture in pictures:
            index = int(picture.stem.removeprefix('img'))
            with Image.open(picture) as opened:
                np.testing.assert_array_equal(np.asarray(opened), frames[index])


def test_truth_is_complete_and_inside_the_image(project: Path) -> None:
    for session in ('session_01', 'session_02'):
        truth = _read_table(project / 'truth' / f'{session}_keypoints.csv')
        values = truth.to_numpy().reshape(TINY.frames_per_video, len(KEYPOINTS), 3)
        assert list(truth.index) == list(range(TINY.frames_per_video))
        assert np.all(values[:, :, 2] == 1)
        assert np.all((values[:, :, :2] >= 0) & (values[:, :, :2] <= TINY.image_side - 1))


def test_behavior_is_one_hot_and_every_class_appears(project: Path) -> None:
    for session in ('session_01', 'session_02'):
        table = pd.read_csv(project / 'behavior' / f'{session}.csv', index_col=0)
        assert tuple(table.columns) == BEHAVIORS
        assert list(table.index) == list(range(TINY.frames_per_video))
        assert np.all(table.sum(axis=1) == 1)
        assert set(np.unique(table)) == {0, 1}
        assert np.all(table.drop(columns='background').sum() > 0)


def test_behaviors_move_as_they_are_called() -> None:
    movement = simulate_movement(3000, np.random.default_rng(1))
    # the first frames of a bout still carry the one before
    settled = np.array(
        [
            frame >= 8 and len(set(movement.behavior[frame - 8 : frame + 1])) == 1
            for frame in range(3000)
        ]
    )

    def of(values: np.ndarray, behavior: int) -> np.ndarray:
        return values[settled & (movement.behavior == behavior)]

    turn = np.abs(movement.angular_velocity)
    assert of(movement.speed, WALK).mean() > 0.008
    for behavior in (STILL, TURN, GROOM):
        assert of(movement.speed, behavior).max() < 0.001
    assert of(turn, TURN).min() > np.deg2rad(4)
    assert max(of(turn, STILL).max(), of(turn, GROOM).max()) < np.deg2rad(1)
    assert of(movement.groom, GROOM).min() > 0.9
    assert of(movement.groom, STILL).max() < 0.1
    # no behaviour follows itself, so that every bout has a dwell time of its own
    bouts = np.diff(np.flatnonzero(np.diff(movement.behavior, prepend=-1, append=-1)))
    assert bouts[:-1].min() >= 10
    assert bouts[:-1].max() <= 50


def test_animal_stays_in_the_picture_and_its_tail_in_one_piece() -> None:
    for seed in range(5):
        movement = simulate_movement(1500, np.random.default_rng(seed))
        skeleton = build_skeleton(movement, 200, 0.36)
        points = np.stack(list(skeleton.points.values()))
        assert points.min() > 0
        assert points.max() < 199
        tail = np.stack([skeleton.points[f'tail_{joint}'] for joint in range(7)])
        lengths = np.linalg.norm(np.diff(tail, axis=0), axis=-1) / skeleton.size
        # at a wall it is pressed together, never stretched
        assert lengths.max() < TAIL_SEGMENT * 1.001
        assert np.median(lengths) == pytest.approx(TAIL_SEGMENT)


def _noiseless_video(frames: int, seed: int = 3) -> tuple[list[np.ndarray], dict, np.ndarray]:
    """Render frames without noise; return them, their points and the behaviour."""
    rng = np.random.default_rng(seed)
    movement = simulate_movement(frames, rng)
    skeleton = build_skeleton(movement, 256, 0.34)
    look = replace(make_look(rng), pixel_noise=0.0)
    images = list(render(skeleton, make_arena(256, rng), look, rng))
    return images, skeleton.points, movement.behavior


def _hue_error(pixel: np.ndarray, color: tuple[float, float, float]) -> float:
    """Compare colours whatever the light."""
    shares = pixel / pixel.sum()
    return float(np.abs(shares - np.array(color) / sum(color)).max())


def test_drawing_shows_the_parts_where_the_labels_say() -> None:
    images, points, _ = _noiseless_video(200)
    hidden = 0
    for frame in range(0, 200, 10):

        def pixel(name: str, frame: int = frame) -> np.ndarray:
            column, row = np.round(points[name][frame]).astype(int)
            return images[frame][row, column].astype(float)

        assert _hue_error(pixel('nose'), NOSE) < 0.03
        assert _hue_error(pixel('ear_left'), SKIN) < 0.02
        assert _hue_error(pixel('ear_right'), SKIN) < 0.02
        assert pixel('body').sum() < pixel('ear_left').sum() < 3 * 255
        assert _hue_error(pixel('tail_3'), TAIL) < 0.03
        # an ear may lie over a paw, which is as pink; its dark rim seldom hits the paw's centre
        hidden += sum(_hue_error(pixel(f'front_paw_{side}'), SKIN) > 0.02 for side in SIDES)
    assert hidden <= 4


def test_left_is_left_seen_from_above() -> None:
    _, points, _ = _noiseless_video(5)
    ahead = points['nose'][0] - points['tail_0'][0]
    to_left = points['ear_left'][0] - points['ear_right'][0]
    # y points down: a quarter turn against the clock takes (x, y) to (y, -x)
    assert np.dot(to_left, [ahead[1], -ahead[0]]) > 0


def test_labels_are_exact_to_fractions_of_a_pixel() -> None:
    """The centroid of the nose's colour follows its keypoint."""
    images, points, behavior = _noiseless_video(120)
    errors = []
    for frame in np.flatnonzero(behavior != GROOM)[::6]:
        nose = points['nose'][frame]
        column, row = np.round(nose).astype(int)
        window = images[frame][row - 4 : row + 5, column - 4 : column + 5].astype(float)
        pink = np.clip(window[..., 0] / window[..., 1] - 1.6, 0, None)
        rows, columns = np.mgrid[row - 4 : row + 5, column - 4 : column + 5]
        centroid = np.array([np.sum(columns * pink), np.sum(rows * pink)]) / pink.sum()
        errors.append(centroid - nose)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.15
    assert np.abs(errors).max() < 0.5


def _ceiling_by_loop(counts: np.ndarray, rates: np.ndarray) -> list[float]:
    """Write METHOD section 3 out: (NLL_null - NLL_model) / spikes / ln 2."""
    values = []
    for neuron in range(counts.shape[1]):
        spikes = sum(int(count) for count in counts[:, neuron])
        mean = spikes / len(counts)
        null = model = 0.0
        for count, rate in zip(counts[:, neuron].tolist(), rates[:, neuron].tolist(), strict=True):
            null += mean - count * math.log(mean) + math.lgamma(count + 1)
            model += rate - count * math.log(rate) + math.lgamma(count + 1)
        values.append((null - model) / spikes / math.log(2))
    return values


def test_ceiling_is_what_a_slow_loop_finds(project: Path) -> None:
    with np.load(project / 'spikes' / 'session_01.npz') as spikes:
        counts, rates = spikes['spike_counts'], spikes['true_rate']
        ceiling = spikes['bits_per_spike_ceiling']
    np.testing.assert_allclose(ceiling, _ceiling_by_loop(counts, rates), rtol=1e-6)


def test_spike_file_is_consistent(project: Path) -> None:
    shape = (TINY.frames_per_video, TINY.neurons)
    with np.load(project / 'spikes' / 'session_01.npz') as spikes:
        assert spikes['spike_counts'].shape == spikes['true_rate'].shape == shape
        assert np.issubdtype(spikes['spike_counts'].dtype, np.integer)
        assert float(spikes['bin_width']) == 1 / TINY.fps
        np.testing.assert_allclose(np.diff(spikes['bin_times']), 1 / TINY.fps)
        np.testing.assert_array_equal(spikes['bin_times'], spikes['frame_times'])
        assert spikes['covariates'].shape == (shape[0], len(spikes['covariate_names']))
        # the counts lie around the rates they were drawn from
        surplus = spikes['spike_counts'].sum() - spikes['true_rate'].sum()
        assert abs(surplus) < 4 * np.sqrt(spikes['true_rate'].sum())


def test_population_reaches_its_information_and_plausible_rates() -> None:
    rng = np.random.default_rng(0)
    covariates = np.concatenate([simulate_movement(600, rng).covariates() for _ in range(4)])
    neurons = make_neurons(covariates, 40, 0.04, rng)
    rates = neurons.rates(covariates)
    counts = rng.poisson(rates)
    assert bits_per_spike(counts, rates).mean == pytest.approx(TARGET_BITS, abs=0.03)
    assert np.all((rates.mean(axis=0) > 5 * 0.04) & (rates.mean(axis=0) < 17 * 0.04))
    assert np.mean((rates > 1.5 * 0.04) & (rates < 30 * 0.04)) > 0.9
    assert np.linalg.matrix_rank(neurons.weights) == 3


def test_equal_seeds_give_equal_projects_and_other_seeds_do_not(
    project: Path, tmp_path: Path
) -> None:
    again = write_project(tmp_path / 'again', TINY).parent
    other = write_project(tmp_path / 'other', TINY, seed=1).parent
    for path in sorted(project.rglob('*')):
        name = path.relative_to(project)
        # the config holds the folder's own path
        if path.is_file() and path.suffix != '.yaml':
            assert path.read_bytes() == (again / name).read_bytes(), name
        if path.suffix == '.mp4':
            pictures = np.stack(_decode(path)).astype(float)
            assert np.abs(pictures - np.stack(_decode(other / name))).mean() > 6, name
    for name in ('videos/session_01.mp4', 'CollectedData.csv', 'spikes/session_01.npz'):
        assert (project / name).read_bytes() != (other / name).read_bytes()
    # nor are two videos of one project the same
    first, second = (project / 'behavior' / f'session_0{number}.csv' for number in (1, 2))
    assert first.read_bytes() != second.read_bytes()


def test_config_is_valid_for_the_host_and_for_us(project: Path) -> None:
    api = pytest.importorskip('lightning_pose.api')
    config = OmegaConf.load(project / 'config_demo.yaml')
    api.ModelConfig(config).validate()
    assert Path(config.data.data_dir) == project.resolve()
    assert Path(config.eval.test_videos_directory) == project.resolve() / 'videos_test'
    assert (config.model.backbone, config.model.model_type) == ('beast', 'heatmap')
    beast = parse_config(config.beast)
    assert beast.preset == 'laptop'
    assert beast.init == 'random'
    assert beast.anchors.per_video == TINY.anchors_per_video
    assert beast.training.steps == TINY.pretraining_steps


def test_config_survives_awkward_folder_names(tmp_path: Path) -> None:
    directory = tmp_path / 'Müller\'s lab: "day" #1'
    config = OmegaConf.load(write_project(directory, TINY))
    assert Path(config.data.data_dir) == directory.resolve()


def test_directory_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(BeastError, match='is not empty; give a new or empty folder'):
        write_project(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']
    with pytest.raises(BeastError, match='is a file'):
        write_project(tmp_path / 'notes.txt', TINY)


def test_empty_directory_is_used(tmp_path: Path) -> None:
    directory = tmp_path / 'empty'
    directory.mkdir()
    assert write_project(directory, TINY) == directory.resolve() / 'config_demo.yaml'
    assert (directory / 'videos' / 'session_01.mp4').exists()


def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError('disk full')

    monkeypatch.setattr('beast_lp.demo.project._write_labels', fail)
    with pytest.raises(OSError, match='disk full'):
        write_project(tmp_path / 'lab', TINY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'videos': 1}, 'videos of at least 2, found 1'),
        ({'image_side': 97}, 'image_side must be even .* found 97; use 98'),
        ({'labeled_frames': 61}, '61 labeled_frames .* 61 of them in a video that has 60'),
        ({'recorded_frames': 3}, 'recorded_frames of at least 10, found 3'),
        ({'videos': 12, 'labeled_frames': 8}, 'labeled_frames of at least 11, found 8'),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(BeastError, match=message):
        replace(TINY, **change)


def test_training_videos_share_the_labels_and_the_first_is_longer(tmp_path: Path) -> None:
    size = replace(
        FULL,
        videos=4,
        frames_per_video=20,
        recorded_frames=30,
        image_side=64,
        labeled_frames=10,
        neurons=2,
    )
    directory = write_project(tmp_path / 'lab', size).parent
    labels = _read_table(directory / 'CollectedData.csv')
    sessions = [Path(name).parent.name for name in labels.index]
    assert [sessions.count(f'session_0{number}') for number in (1, 2, 3)] == [4, 3, 3]
    assert sorted(path.name for path in (directory / 'videos').iterdir()) == [
        'session_01.mp4',
        'session_02.mp4',
        'session_03.mp4',
    ]
    frames = [len(pd.read_csv(path)) for path in sorted((directory / 'behavior').iterdir())]
    assert frames == [30, 20, 20, 20]
