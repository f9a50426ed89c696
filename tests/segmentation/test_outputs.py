"""What predictions become on disk."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import av
import av.video.stream
import h5py
import numpy as np
import pandas as pd
import pytest

from beast_lp.segmentation.excerpt import busiest_stretch, write_excerpt
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.nwb import UNKNOWN_START, write_nwb
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.segmentation.outputs import (
    Prediction,
    bout_table,
    one_hot,
    write_bouts,
    write_lightning_action,
    write_prediction,
)
from beast_lp.segmentation.streams import Streams
from beast_lp.video.read import count_frames

WriteVideo = Callable[..., Path]

CLASSES = ('still', 'walk', 'groom')


@pytest.fixture
def prediction(write_video: WriteVideo) -> Prediction:
    """Return a prediction of a real, small video."""
    rng = np.random.default_rng(0)
    video = write_video('a b.mp4', rng.integers(0, 255, (50, 32, 48, 3), dtype=np.uint8))
    labels = np.repeat([0, 1, 0, 2, 1], [20, 5, 5, 10, 10])
    probabilities = np.full((50, 3), 0.1, dtype=np.float32)
    probabilities[np.arange(50), labels] = 0.8
    return Prediction('a b', video, CLASSES, probabilities, labels, 25.0, np.arange(50) / 25)


def test_labels_can_be_read_back(prediction: Prediction, tmp_path: Path) -> None:
    write_prediction(prediction, tmp_path / 'out')
    labels = read_one_hot(tmp_path / 'out' / 'a b_labels.csv')
    assert labels.classes == ('background', *CLASSES)
    np.testing.assert_array_equal(labels.target - 1, prediction.labels)
    table = pd.read_csv(tmp_path / 'out' / 'a b_probabilities.csv', index_col=0)
    np.testing.assert_allclose(table.to_numpy(), prediction.probabilities)
    assert not list((tmp_path / 'out').glob('*.part'))


def test_bouts_are_listed_in_frames_and_seconds(prediction: Prediction) -> None:
    table = bout_table([prediction])
    assert table['class'].tolist() == ['still', 'walk', 'still', 'groom', 'walk']
    assert table['start_frame'].tolist() == [0, 20, 25, 30, 40]
    assert table['stop_s'].tolist() == pytest.approx([0.8, 1.0, 1.2, 1.6, 2.0])
    assert table['probability'].tolist() == pytest.approx([0.8] * 5)


def test_bouts_follow_the_clock_of_the_camera(prediction: Prediction, tmp_path: Path) -> None:
    # a long recording, of which the camera left out a minute after the frame 24
    times = 36_000 + np.arange(50) / 25 + np.where(np.arange(50) > 24, 60, 0)
    write_bouts(bout_table([replace(prediction, times=times)]), tmp_path / 'bouts.csv')
    table = pd.read_csv(tmp_path / 'bouts.csv', dtype=str)
    starts = ['36000.000', '36000.800', '36061.000', '36061.200', '36061.600']
    assert table['start_s'].tolist() == starts
    assert table['stop_s'].tolist() == [*starts[1:], '36062.000']
    assert table['start_frame'].tolist() == ['0', '20', '25', '30', '40']


def test_nwb_holds_the_bouts(prediction: Prediction, tmp_path: Path) -> None:
    pynwb = pytest.importorskip('pynwb')
    pytest.importorskip('ndx_ethogram')
    write_nwb(replace(prediction, times=np.arange(50) / 10), tmp_path / 'a.nwb')
    with pynwb.NWBHDF5IO(str(tmp_path / 'a.nwb'), 'r') as file:
        bouts = file.read().processing['behavior']['EthogramBouts'].to_dataframe()
    assert bouts['label'].tolist() == ['still', 'walk', 'still', 'groom', 'walk']
    assert bouts['start_time'].tolist() == pytest.approx([0, 2.0, 2.5, 3.0, 4.0])


def test_the_start_of_a_session_is_given_or_a_placeholder(
    prediction: Prediction, tmp_path: Path
) -> None:
    pynwb = pytest.importorskip('pynwb')
    pytest.importorskip('ndx_ethogram')
    began = datetime(2026, 3, 14, 15, 9, 26, tzinfo=timezone.utc)
    for name, given, expected in (('a', began, began), ('b', None, UNKNOWN_START)):
        write_nwb(prediction, tmp_path / f'{name}.nwb', given)
        with pynwb.NWBHDF5IO(str(tmp_path / f'{name}.nwb'), 'r') as file:
            session = file.read()
            assert session.session_start_time == expected
            assert ('is a placeholder' in session.session_description) is (given is None)


def test_an_excerpt_shows_the_busiest_stretch(prediction: Prediction, tmp_path: Path) -> None:
    assert busiest_stretch(prediction.labels, 22) == 19
    assert busiest_stretch(prediction.labels, 500) == 0
    write_excerpt(prediction, tmp_path / 'excerpt.mp4', seconds=0.5)
    assert count_frames(tmp_path / 'excerpt.mp4') == 12


def test_an_excerpt_of_a_turned_video_is_upright(prediction: Prediction, tmp_path: Path) -> None:
    path = tmp_path / 'turned.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        stream.set_display_rotation(90)
        for _ in range(50):
            picture = np.zeros((240, 320, 3), np.uint8)
            picture[:, :160] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    excerpt = tmp_path / 'excerpt.mp4'
    write_excerpt(replace(prediction, video=path), excerpt, seconds=0.5)
    with av.open(str(excerpt)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format='gray')
    height, width = shown.shape
    assert width < height
    # a quarter turn to the left takes the left half to the bottom
    assert shown[-100:].mean() > 200 > 50 > shown[40:140].mean()


def test_lightning_action_gets_its_two_tables(prediction: Prediction, tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(25, 4, 3)).astype(np.float16)
    write_lightning_action(
        'a b', Streams((tokens,)), np.arange(0, 50, 2), one_hot(prediction), tmp_path
    )
    features = pd.read_csv(tmp_path / 'features' / 'a b.csv', index_col=0)
    labels = pd.read_csv(tmp_path / 'labels' / 'a b.csv', index_col=0)
    np.testing.assert_allclose(
        features.to_numpy(), tokens.astype(np.float32).mean(axis=1), atol=1e-5
    )
    assert list(labels.columns) == ['background', *CLASSES]
    np.testing.assert_array_equal(labels.to_numpy().argmax(axis=1) - 1, prediction.labels[::2])


def test_behaviours_at_once_are_written_into_clips_and_nwb(
    prediction: Prediction, tmp_path: Path
) -> None:
    shown = np.zeros((50, 3), dtype=bool)
    shown[10:40, 1] = shown[30:45, 2] = True
    codes = INDEPENDENT.from_flags(shown)
    several = replace(prediction, labels=codes, labelling=INDEPENDENT)
    write_excerpt(several, tmp_path / 'excerpt.mp4', seconds=2)
    assert count_frames(tmp_path / 'excerpt.mp4') == 50
    pytest.importorskip('ndx_ethogram')
    write_nwb(several, tmp_path / 'a.nwb')
    with h5py.File(tmp_path / 'a.nwb') as file:
        bouts = file['processing/behavior/EthogramBouts']
        rows = zip(*(bouts[name][:] for name in ('start_time', 'stop_time', 'label')), strict=True)  # type: ignore[index]
        found = [(float(start), float(stop), label.decode()) for start, stop, label in rows]
        assert str(bouts.attrs['description']).startswith('any number of behaviours per frame')
    assert found == [(0.4, 1.6, 'walk'), (1.2, 1.8, 'groom')]
