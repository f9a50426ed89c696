"""Reading windows back."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import DataLoader, Dataset

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.video.read import FrameReader
from beast_lp.video.source_video import SourceVideo
from beast_lp.video.window_clip import build_clip
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore, write_index

SIZE = (96, 128)
BuildStore = Callable[..., WindowStore]


@pytest.fixture
def build_store(write_counted: Callable[..., Path], tmp_path: Path) -> BuildStore:
    """Return a function that stores windows of numbered videos without choosing anchors."""

    def build(anchors: Sequence[int] = (1, 5, 20, 40, 58), videos: int = 1) -> WindowStore:
        rows = []
        for video in range(videos):
            source = write_counted(f'video{video}.mp4', 60, first=100 * video)
            clip = f'video{video}-clip.mp4'
            build_clip(
                source,
                np.array(anchors),
                tmp_path / clip,
                WindowConfig(),
                progress=False,
            )
            rows += [
                {
                    'video': str(source),
                    'video_id': f'00{video}',
                    'frame': frame,
                    'clip': clip,
                    'window': window,
                    'step': 1,
                    'fps': 25.0,
                    'project': '',
                }
                for window, frame in enumerate(anchors)
            ]
        write_index(tmp_path, pd.DataFrame(rows))
        return WindowStore.open(tmp_path)

    return build


def test_every_source_gives_exactly_its_frames(
    source: Any,
    write_counted: Callable[..., Path],
    read_counter: Callable[[np.ndarray], int],
    tmp_path: Path,
) -> None:
    store = prepare_windows(
        [write_counted(source)],
        tmp_path / 'out',
        AnchorConfig(per_video=8),
        WindowConfig(),
        seed=0,
        progress=False,
    )
    assert len(store) > 4
    # not in the order in which they lie in the clip
    for index in np.random.default_rng(0).permutation(len(store)):
        frame = store.table['frame'].tolist()[index]
        read = [read_counter(image) for image in store.read(index, (-1, 0, 1), SIZE)]
        assert read == [frame - 1, frame, frame + 1]


def test_offsets_choose_frames_in_the_order_given(
    build_store: BuildStore, read_counter: Callable[[np.ndarray], int]
) -> None:
    store = build_store()
    for offsets in [(0,), (1,), (-1,), (1, -1), (0, 1), (0, -1), (0, 0), (1, 0, -1)]:
        images = store.read(2, offsets, (48, 64))
        assert images.shape == (len(offsets), 48, 64, 3)
        assert images.dtype == np.uint8
        full = store.read(2, offsets, SIZE)
        assert [read_counter(image) for image in full] == [20 + offset for offset in offsets]


def test_the_stored_size_is_that_of_the_clip(build_store: BuildStore) -> None:
    store = build_store()
    assert store.clip_size(2) == SIZE
    (store.directory / 'video0-clip.mp4').unlink()
    with pytest.raises(BeastError, match='missing or damaged'):
        WindowStore.open(store.directory).clip_size(2)


def test_every_size_among_the_clips_is_listed(
    write_video: Callable[..., Path],
    counter_frame: Callable[..., np.ndarray],
    tmp_path: Path,
) -> None:
    videos = [
        write_video(f'{at}.mp4', [counter_frame(k, *size) for k in range(20)])
        for at, size in enumerate([(96, 128), (96, 128), (144, 208)])
    ]
    store = prepare_windows(
        videos,
        tmp_path / 'out',
        AnchorConfig(per_video=3),
        WindowConfig(processes=1),
        seed=0,
        progress=False,
    )
    assert store.clip_sizes() == {(96, 128), (144, 208)}


@pytest.mark.parametrize('offsets', [(), (2,), (0, -2)])
def test_other_offsets_are_refused(build_store: BuildStore, offsets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='offsets must be among'):
        build_store().read(0, offsets, SIZE)


def test_overlapping_windows_are_complete(
    build_store: BuildStore, read_counter: Callable[[np.ndarray], int]
) -> None:
    store = build_store(range(1, 30))
    for index in range(29):
        read = [read_counter(image) for image in store.read(index, (-1, 0, 1), SIZE)]
        assert read == [index, index + 1, index + 2]


def test_colours_come_back(write_video: Callable[..., Path], tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:240, 0:320]
    frames = [
        np.stack(
            [
                columns * 255 // 319,
                rows * 255 // 239,
                128 + 127 * np.sin((columns + step * 9) / 50),
            ],
            -1,
        ).astype(np.uint8)
        for step in range(20)
    ]
    source = write_video('smooth.mp4', frames, options={'crf': '4'}, pixel_format='yuv444p')
    build_clip(
        source,
        np.array([4, 10]),
        tmp_path / 'clip.mp4',
        WindowConfig(longest_side=320),
        progress=False,
    )
    write_index(
        tmp_path,
        pd.DataFrame(
            [
                {
                    'video': str(source),
                    'video_id': 'a',
                    'frame': frame,
                    'clip': 'clip.mp4',
                    'window': at,
                    'step': 1,
                    'fps': 25.0,
                    'project': '',
                }
                for at, frame in enumerate([4, 10])
            ]
        ),
    )
    store = WindowStore.open(tmp_path)
    decoded = [frame.pixels((240, 320)) for frame in FrameReader(source)]
    for index, frame in enumerate([4, 10]):
        for image, expected in zip(
            store.read(index, (-1, 0, 1), (240, 320)), decoded[frame - 1 : frame + 2], strict=True
        ):
            difference = image.astype(int) - expected
            assert np.abs(difference).mean() < 2
            # libswscale's own rounding is up to 1.4
            assert np.abs(difference.mean((0, 1))).max() < 2
            assert image.min() <= 4
            assert image.max() >= 251


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_the_store_survives_pickling_and_forking(
    build_store: BuildStore, read_counter: Callable[[np.ndarray], int]
) -> None:
    store = build_store()
    expected = store.read(3, (0, 1), SIZE)
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read(3, (0, 1), SIZE), expected)
    assert copy.table.equals(store.table)

    def child(queue: Any) -> None:
        for index in (4, 0, 2, 1, 3) * 10:
            queue.put((index, read_counter(store.read(index, (0,), SIZE)[0])))

    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    processes = [context.Process(target=child, args=(queue,)) for _ in range(2)]
    for process in processes:
        process.start()
    frames = store.table['frame']
    for index in (1, 2, 3, 0, 4) * 10:
        assert read_counter(store.read(index, (0,), SIZE)[0]) == frames[index]
    seen = [queue.get(timeout=30) for _ in range(100)]
    for process in processes:
        process.join()
    assert all(found == frames[index] for index, found in seen)


class _Numbers(Dataset):
    def __init__(self, store: WindowStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray]:
        return index, self.store.read(index, (0, 1), SIZE)


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_loader_workers_read_the_right_frames(
    build_store: BuildStore, read_counter: Callable[[np.ndarray], int]
) -> None:
    store = build_store(videos=2)
    # the parent has clips open, whose positions a forked worker must not share
    store.read(0, (0,), SIZE)
    loader = DataLoader(
        _Numbers(store),
        batch_size=3,
        num_workers=2,
        shuffle=True,
        multiprocessing_context='fork',
        collate_fn=list,
    )
    videos, frames = store.table['video_id'].tolist(), store.table['frame'].tolist()
    seen = []
    for _ in range(2):
        for batch in loader:
            for index, images in batch:
                counter = 100 * int(videos[index]) + frames[index]
                assert [read_counter(image) for image in images] == [counter, counter + 1]
                seen.append(index)
    assert sorted(seen) == sorted([*range(10), *range(10)])


def test_a_fresh_process_reads_the_right_frames(
    build_store: BuildStore, read_counter: Callable[[np.ndarray], int]
) -> None:
    store = build_store()
    store.read(0, (0,), SIZE)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        images = pool.apply(store.read, (3, (-1, 0, 1), SIZE))
    assert [read_counter(image) for image in images] == [39, 40, 41]


@pytest.mark.parametrize('damage', ['missing', 'empty', 'cut', 'other', 'wiped'])
def test_a_damaged_clip_is_named(
    build_store: BuildStore, write_counted: Callable[..., Path], tmp_path: Path, damage: str
) -> None:
    store = build_store()
    clip = tmp_path / 'video0-clip.mp4'
    content = clip.read_bytes()
    if damage == 'missing':
        clip.unlink()
    elif damage == 'wiped':
        clip.write_bytes(content[:200] + bytes(len(content) * 3 // 4) + content[-2000:])
    elif damage == 'other':
        clip.write_bytes(write_counted('irregular_other.mp4', 8).read_bytes())
    else:
        clip.write_bytes(content[: 0 if damage == 'empty' else len(content) // 2])
    with pytest.raises(BeastError, match='video0-clip.mp4 .* is missing or damaged'):
        store.read(4, (-1, 0, 1), SIZE)


def test_names_that_look_like_numbers_stay_text(build_store: BuildStore, tmp_path: Path) -> None:
    build_store()
    table = pd.read_csv(tmp_path / 'index.csv', dtype=str)
    table['video_id'] = ['007', 'NA', '1e5', 'nan', 'null']
    write_index(tmp_path, table)
    store = WindowStore.open(tmp_path)
    assert store.table['video_id'].tolist() == ['007', 'NA', '1e5', 'nan', 'null']
    assert store.table['frame'].tolist() == [1, 5, 20, 40, 58]


def test_every_window_has_a_project(
    write_counted: Callable[..., Path],
    tmp_path: Path,
) -> None:
    videos = [SourceVideo(write_counted(f'{name}.mp4'), name) for name in ('NA', 'mice')]
    plain = write_counted('alone.mp4')
    store = prepare_windows(
        [*videos, plain], tmp_path / 'out', AnchorConfig(per_video=4), WindowConfig(), 0, False
    )
    projects = store.table.groupby('video')['project'].unique()
    assert {video.path: video.project for video in [*videos, SourceVideo(plain)]} == {
        Path(str(path)): name for path, (name,) in projects.items()
    }


def test_a_store_of_an_older_version_is_one_of_one_project(
    build_store: BuildStore,
    tmp_path: Path,
) -> None:
    build_store()
    pd.read_csv(tmp_path / 'index.csv').drop(columns='project').to_csv(tmp_path / 'index.csv')
    assert set(WindowStore.open(tmp_path).table['project']) == {''}


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='no window store in'):
        WindowStore.open(tmp_path)
    (tmp_path / 'index.csv').write_text('video,frame\n')
    with pytest.raises(BeastError, match='lacks the column video_id'):
        WindowStore.open(tmp_path)
