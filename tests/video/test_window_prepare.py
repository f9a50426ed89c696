"""From raw videos to a store: reuse, rebuilding, interruptions and bad videos."""

import json
import logging
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.video import window_build, window_clip, window_prepare
from beast_lp.video.anchors import STRATEGIES
from beast_lp.video.containers import VideoError
from beast_lp.video.read import find_videos, probe
from beast_lp.video.window_clip import build_clip
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore

SIZE = (96, 128)
# its header is at the start, so that it can be cut
AVI = 'video.avi'


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., WindowStore]:
    """Return `prepare_windows` with small settings, into one output directory."""

    def prepare_small(
        *videos: Path,
        seed: int = 0,
        windows: dict[str, Any] | None = None,
        offset: dict[str, Any] | None = None,
        **anchors: Any,
    ) -> WindowStore:
        return prepare_windows(
            videos,
            tmp_path / 'out',
            AnchorConfig(**{'per_video': 5, **anchors}),
            WindowConfig(**{'processes': 1, **(windows or {})}),
            seed,
            progress=False,
            **(offset or {}),
        )

    return prepare_small


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the videos that are decoded."""
    names: list[str] = []
    for name in ('scan_video', 'build_clip'):
        original = getattr(window_build, name)

        def counted(path: Path, *args: Any, _original: Any = original, _step: str = name) -> Any:
            names.append(f'{_step} {path.stem}')
            return _original(path, *args)

        monkeypatch.setattr(window_build, name, counted)
    return names


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def test_tables_agree_with_each_other_and_the_store(
    run: Callable[..., WindowStore], write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    videos = [write_counted('b/täglich 1.mp4'), write_counted('a/second.avi', 40)]
    store = run(*videos)
    anchors = pd.read_csv(tmp_path / 'out/anchors.csv')
    table = pd.read_csv(tmp_path / 'out/videos.csv')
    assert tuple(anchors.columns) == window_prepare.ANCHOR_COLUMNS
    assert tuple(table.columns) == window_prepare.VIDEO_COLUMNS
    assert table['video'].tolist() == [str(video) for video in videos]
    assert table['video_id'].tolist() == ['täglich_1', 'second']
    assert table['frames_read'].tolist() == [60, 40]
    assert table['frames_declared'].tolist() == [60, 40]
    assert table['status'].tolist() == ['ok', 'ok']
    assert table['anchors'].sum() == len(anchors) == len(store)
    for column in ('video', 'video_id', 'frame'):
        assert anchors[column].tolist() == store.table[column].tolist()
    assert (anchors['motion_energy'] > 0).all()
    assert store.table['window'].tolist() == [
        window for count in table['anchors'] for window in range(count)
    ]
    names = {path.name for path in (tmp_path / 'out/windows').iterdir()}
    assert names == {
        'index.csv',
        'täglich_1.mp4',
        'täglich_1.json',
        'second.mp4',
        'second.json',
    }
    record = json.loads((tmp_path / 'out/windows/second.json').read_text())
    assert record['anchors']['frame'] == anchors['frame'][anchors['video_id'] == 'second'].tolist()


def test_spaces_and_letters_of_any_kind_work(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    read_counter: Callable[[np.ndarray], int],
) -> None:
    run(write_counted('Maus Ω/каме ра %d #1.mp4'))
    store = WindowStore.open(tmp_path / 'out')
    for index, frame in enumerate(store.table['frame']):
        assert read_counter(store.read(index, (0,), SIZE)[0]) == frame


def test_clips_of_an_older_name_are_used_again(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
) -> None:
    videos = [write_counted('x.mp4'), write_counted('x.avi', 40)]
    assert run(*videos).table['video_id'].unique().tolist() == ['x_mp4', 'x_avi']
    # older versions told them apart by their whole path, and a number
    older = '_'.join([*tmp_path.parts[1:], 'x'])[-80:].lstrip('._-')
    windows = tmp_path / 'out/windows'
    for name, before in (('x_mp4', older), ('x_avi', f'{older}_2')):
        record = json.loads((windows / f'{name}.json').read_text())
        record |= {'video_id': before, 'clip': f'{before}.mp4'}
        (windows / f'{before}.json').write_text(json.dumps(record))
        (windows / f'{name}.json').unlink()
        (windows / f'{name}.mp4').rename(windows / f'{before}.mp4')
    builds.clear()
    assert run(*videos).table['video_id'].unique().tolist() == [older, f'{older}_2']
    assert not builds


def test_a_second_run_decodes_nothing(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
) -> None:
    video = write_counted('video.mp4')
    first = run(video)
    anchors = (tmp_path / 'out/anchors.csv').read_bytes()
    table = (tmp_path / 'out/videos.csv').read_bytes()
    state = _state(tmp_path / 'out/windows')
    assert builds == ['scan_video video', 'build_clip video']
    builds.clear()
    # a copy at another place, of another date, is the same video
    moved = tmp_path / 'elsewhere' / video.name
    moved.parent.mkdir()
    shutil.copy(video, moved)
    second = run(moved)
    assert builds == []
    after = _state(tmp_path / 'out/windows')
    assert {name: after[name] for name in ('video.mp4', 'video.json')} == {
        name: state[name] for name in ('video.mp4', 'video.json')
    }
    assert second.table['video'].unique().tolist() == [str(moved)]
    assert second.table['frame'].tolist() == first.table['frame'].tolist()
    run(video)
    assert (tmp_path / 'out/anchors.csv').read_bytes() == anchors
    assert (tmp_path / 'out/videos.csv').read_bytes() == table


@pytest.mark.parametrize(
    'change',
    [
        {'seed': 1},
        {'windows': {'longest_side': 64}},
        {'per_video': 4},
        {'strategy': 'uniform'},
        {'offset': {'offset_frames': 2}},
        {'offset': {'offset_ms': 80}},
    ],
)
def test_a_changed_setting_rebuilds(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    builds: list[str],
    change: dict[str, Any],
) -> None:
    video = write_counted('video.mp4')
    run(video)
    builds.clear()
    run(video, **change)
    assert builds == ['scan_video video', 'build_clip video']


def test_a_changed_video_rebuilds_its_clip_alone(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
    read_counter: Callable[[np.ndarray], int],
) -> None:
    videos = [write_counted('one.mp4'), write_counted('two.mp4')]
    run(*videos)
    state = _state(tmp_path / 'out/windows')
    builds.clear()
    write_counted('two.mp4', 60, first=500)
    store = run(*videos)
    assert builds == ['scan_video two', 'build_clip two']
    after = _state(tmp_path / 'out/windows')
    assert after['one.mp4'] == state['one.mp4']
    assert after['two.mp4'] != state['two.mp4']
    for index, (video_id, frame) in enumerate(
        zip(store.table['video_id'], store.table['frame'], strict=True)
    ):
        first = 500 if video_id == 'two' else 0
        assert read_counter(store.read(index, (0,), SIZE)[0]) == first + frame


@pytest.mark.parametrize(
    'damage',
    [
        'clip gone',
        'clip cut',
        'clip wiped',
        'clip shorter',
        'record gone',
        'record cut',
    ],
)
def test_a_damaged_store_is_mended(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    video = write_counted('video.mp4')
    frames = run(video).table['frame'].tolist()
    what, how = damage.split()
    path = tmp_path / 'out/windows' / ('video.mp4' if what == 'clip' else 'video.json')
    content = path.read_bytes()
    path.unlink()
    if how == 'cut':
        path.write_bytes(content[: len(content) // 2])
    elif how == 'wiped':
        path.write_bytes(bytes(len(content)))
    elif how == 'shorter':
        # a whole clip of the right size with a window too few
        build_clip(video, np.array([1]), path, WindowConfig(), progress=False)
        path.write_bytes(path.read_bytes() + bytes(len(content) - path.stat().st_size))
    builds.clear()
    with caplog.at_level(logging.WARNING):
        store = run(video)
    assert str(tmp_path / 'out/windows/video.mp4') in caplog.text
    assert 'it is built again' in caplog.text
    assert builds == ['scan_video video', 'build_clip video']
    assert store.table['frame'].tolist() == frames
    assert store.read(len(store) - 1, (-1, 0, 1), SIZE).shape == (3, *SIZE, 3)


@pytest.mark.parametrize('moment', ['encoding', 'recording', 'indexing'])
def test_a_kill_loses_at_most_one_clip(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builds: list[str],
    moment: str,
    read_counter: Callable[[np.ndarray], int],
) -> None:
    videos = [write_counted('one.mp4'), write_counted('two.mp4')]
    folder = tmp_path / 'out/windows'
    calls = []

    def kill(original: Any, at: int) -> Any:
        def maybe(*args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            if len(calls) == at:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return maybe

    with monkeypatch.context() as patch:
        if moment == 'encoding':
            # the fourth frame of the second clip
            patch.setattr(
                window_clip._ClipWriter, 'write', kill(window_clip._ClipWriter.write, 19)
            )
        elif moment == 'recording':
            patch.setattr(window_build, 'write_record', kill(window_build.write_record, 2))
        else:
            patch.setattr(window_prepare, 'write_index', kill(window_prepare.write_index, 1))
        with pytest.raises(KeyboardInterrupt):
            run(*videos, strategy='uniform')
    left = {path.name for path in folder.iterdir()}
    assert {'one.mp4', 'one.json'} <= left
    assert not {name for name in left if name.endswith('.part')}
    assert 'index.csv' not in left
    assert ('two.mp4' in left) == (moment != 'encoding')
    assert ('two.json' in left) == (moment == 'indexing')
    builds.clear()
    # what a killed process could not tidy up
    (folder / 'two.mp4.part').write_bytes(b'half')
    store = run(*videos, strategy='uniform')
    assert builds == ([] if moment == 'indexing' else ['scan_video two', 'build_clip two'])
    assert not (folder / 'two.mp4.part').exists()
    for index, frame in enumerate(store.table['frame']):
        assert read_counter(store.read(index, (0,), SIZE)[0]) == frame


def test_neither_index_nor_record_describes_another_clip(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video = write_counted('video.mp4')
    run(video)

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(window_build, 'build_clip', fail)
    with pytest.raises(KeyboardInterrupt):
        run(video, seed=1)
    with pytest.raises(BeastError, match='no window store'):
        WindowStore.open(tmp_path / 'out')
    assert list((tmp_path / 'out/windows').iterdir()) == []


def test_clips_of_videos_that_left_the_list_are_deleted(
    run: Callable[..., WindowStore], write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    videos = [write_counted('one.mp4'), write_counted('two.mp4')]
    run(*videos)
    folder = tmp_path / 'out/windows'
    # not ours: no record names them
    (folder / 'mine.mp4').write_bytes(b'x')
    (folder / 'mine.json').write_text('{}')
    store = run(videos[0])
    assert {path.name for path in folder.iterdir()} == {
        'index.csv',
        'one.mp4',
        'one.json',
        'mine.mp4',
        'mine.json',
    }
    assert store.table['video_id'].unique().tolist() == ['one']


@pytest.mark.parametrize('change', ['replaced', 'truncated'])
def test_a_video_that_changed_between_runs_is_said(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    read_counter: Callable[[np.ndarray], int],
    change: str,
) -> None:
    video = write_counted(AVI)
    run(video)
    first = 500 if change == 'replaced' else 0
    if change == 'replaced':
        write_counted(AVI, first=first)
    else:
        content = video.read_bytes()
        video.write_bytes(content[: len(content) * 2 // 3])
    with caplog.at_level(logging.INFO):
        store = run(video)
    assert f'{video}: the video or its bounding boxes have changed' in caplog.text
    assert ('is damaged or cut short' in caplog.text) == (change == 'truncated')
    for index, frame in enumerate(store.table['frame']):
        assert read_counter(store.read(index, (0,), SIZE)[0]) == first + frame


def test_an_older_index_is_rebuilt_from_the_records(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
) -> None:
    video = write_counted('video.mp4')
    table = run(video).table
    table.drop(columns=['step', 'fps']).to_csv(tmp_path / 'out/windows/index.csv', index=False)
    with pytest.raises(BeastError, match='lacks the column step'):
        WindowStore.open(tmp_path / 'out')
    builds.clear()
    pd.testing.assert_frame_equal(run(video).table, table)
    assert builds == []


def test_an_older_record_is_built_again(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    builds: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    video = write_counted('video.mp4')
    run(video)
    sidecar = tmp_path / 'out/windows/video.json'
    record = json.loads(sidecar.read_text())
    # version 1 had one key and no step
    record['key'] = record.pop('source_key') + record.pop('settings_key')
    del record['step']
    sidecar.write_text(json.dumps(record))
    builds.clear()
    run(video)
    assert builds == ['scan_video video', 'build_clip video']
    assert 'has no usable record beside it' in caplog.text


@pytest.mark.parametrize(
    ('offset', 'fps', 'step'),
    [
        ({}, 25, 1),
        ({'offset_frames': 4}, 25, 4),
        ({'offset_ms': 200.0}, 25, 5),
        ({'offset_ms': 10.0, 'offset_frames': 7}, 500, 5),
        # less than a frame
        ({'offset_ms': 10.0}, 25, 1),
    ],
)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_windows_reach_as_far_as_asked(
    run: Callable[..., WindowStore],
    write_video: Callable[..., Path],
    tmp_path: Path,
    counter_frame: Callable[[int], np.ndarray],
    read_counter: Callable[[np.ndarray], int],
    offset: dict[str, Any],
    fps: int,
    step: int,
    strategy: str,
) -> None:
    video = write_video('video.mp4', map(counter_frame, range(70)), fps=fps)
    run(video, strategy=strategy, offset=offset)
    store = WindowStore.open(tmp_path / 'out')
    assert len(store) >= 3
    assert store.table['step'].tolist() == [step] * len(store)
    assert store.table['fps'].tolist() == [float(fps)] * len(store)
    assert (np.diff(store.table['frame']) >= 3 * step).all()
    for index, frame in enumerate(store.table['frame'].tolist()):
        read = [read_counter(image) for image in store.read(index, (-1, 0, 1), SIZE)]
        assert read == [frame - step, frame, frame + step]


def test_the_step_follows_each_video(
    run: Callable[..., WindowStore],
    write_video: Callable[..., Path],
    counter_frame: Callable[[int], np.ndarray],
) -> None:
    frames = [counter_frame(ordinal) for ordinal in range(40)]
    videos = [write_video(f'{fps}.mp4', frames, fps=fps) for fps in (20, 100)]
    table = run(*videos, offset={'offset_ms': 50}).table
    assert table.groupby('video_id')['step'].unique().to_dict() == {'20': [1], '100': [5]}


def test_a_video_shorter_than_its_windows_is_left_out(
    run: Callable[..., WindowStore], write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    run(write_counted('short.mp4', 16), write_counted('long.mp4', 60), offset={'offset_frames': 8})
    table = pd.read_csv(tmp_path / 'out/videos.csv', index_col='video_id')
    assert table['status'].to_dict() == {'short': 'skipped', 'long': 'ok'}
    assert 'found 16 frames' in table['message']['short']
    assert 'at least 17' in table['message']['short']


def test_an_unknown_frame_rate_needs_an_offset_in_frames(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video = write_counted('video.mp4')
    monkeypatch.setattr(window_prepare, 'probe', lambda path: replace(probe(path), fps=math.nan))
    with pytest.raises(BeastError, match='does not give its frame rate.*offset_frames'):
        run(video, offset={'offset_ms': 100.0})
    assert run(video, offset={'offset_frames': 2}).table['step'].unique() == [2]


def test_every_view_of_a_session_is_stored(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    read_counter: Callable[[np.ndarray], int],
) -> None:
    names = ['mouse1_top.mp4', 'mouse1_side.mp4', 'mouse2_top.mp4', 'mouse2_side.mp4']
    videos = [write_counted(name, 60, first=100 * at) for at, name in enumerate(names)]
    store = run(*find_videos(videos[0].parent))
    assert sorted(store.table['video_id'].unique()) == sorted(name[:-4] for name in names)
    assert store.table['clip'].nunique() == 4
    assert (store.table.groupby('video_id').size() >= 4).all()
    for index, (video, frame) in enumerate(
        zip(store.table['video'], store.table['frame'], strict=True)
    ):
        counter = 100 * names.index(Path(video).name) + frame
        read = [read_counter(image) for image in store.read(index, (-1, 0, 1), SIZE)]
        assert read == [counter - 1, counter, counter + 1]


def test_a_second_run_in_the_same_folder_is_turned_away(
    run: Callable[..., WindowStore], write_counted: Callable[..., Path], tmp_path: Path
) -> None:
    video = write_counted('video.mp4')
    (tmp_path / 'out').mkdir()
    code = (
        'import sys, time; from pathlib import Path; '
        'from beast_lp.runs.files import only_writer\n'
        'with only_writer(Path(sys.argv[1]), "it"): print("locked", flush=True); time.sleep(60)'
    )
    other = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'out' / window_prepare.LOCK_NAME)],
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b'locked\n'
        with pytest.raises(BeastError, match='another run is writing .*windows at this moment'):
            run(video)
    finally:
        other.kill()
        other.wait()
    # a killed run leaves the file, but not the lock
    assert len(run(video)) > 0


def _bad_videos(
    tmp_path: Path, write_counted: Callable[..., Path], write_video: Callable[..., Path]
) -> dict[str, tuple[Path, str]]:
    grey = np.full((96, 128, 3), 90, np.uint8)
    for name, content in (('empty.mp4', b''), ('garbage.mp4', bytes(range(256)) * 40)):
        (tmp_path / name).write_bytes(content)
    headless = write_counted('headless.mp4')
    headless.write_bytes(headless.read_bytes()[:-3000])
    return {
        'empty': (tmp_path / 'empty.mp4', 'it is empty'),
        'garbage': (tmp_path / 'garbage.mp4', 'cannot be read as a video'),
        'headless': (headless, 'cannot be read as a video'),
        'one': (write_counted('one.mp4', 1), 'found 1 frame,'),
        'still': (write_video('still.mp4', [grey] * 40), 'nothing moves'),
        'gone': (tmp_path / 'gone.mp4', 'cannot be read'),
    }


def test_bad_videos_are_left_out_with_their_reasons(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    write_video: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = _bad_videos(tmp_path, write_counted, write_video)
    good = write_counted('good.mp4')
    with caplog.at_level(logging.WARNING):
        store = run(*(path for path, _ in bad.values()), good)
    assert store.table['video'].unique().tolist() == [str(good)]
    table = pd.read_csv(tmp_path / 'out/videos.csv', index_col='video_id')
    assert table['status'].to_dict() == {**dict.fromkeys(bad, 'skipped'), 'good': 'ok'}
    for name, (path, words) in bad.items():
        assert words in table['message'][name]
        assert any(
            record.levelno == logging.WARNING
            and str(path) in record.message
            and words in record.message
            for record in caplog.records
        )
    assert table['anchors']['still'] == 0


def test_no_usable_video_is_said_with_reasons(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    write_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    bad = _bad_videos(tmp_path, write_counted, write_video)
    with pytest.raises(BeastError, match='none of the 6 videos can be used: .*it is empty'):
        run(*(path for path, _ in bad.values()))
    assert (pd.read_csv(tmp_path / 'out/videos.csv')['status'] == 'skipped').all()
    assert not (tmp_path / 'out/windows/index.csv').exists()


def test_a_truncated_video_is_used_with_a_warning(
    run: Callable[..., WindowStore],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    write_video: Callable[..., Path],
    counter_frame: Callable[[int], np.ndarray],
    read_counter: Callable[[np.ndarray], int],
) -> None:
    path = write_video(
        'video.avi', map(counter_frame, range(100)), codec='mjpeg', pixel_format='yuvj420p'
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    store = run(path)
    # once when the clip is built, and again when it is reused
    for _ in range(2):
        assert 'is damaged or cut short' in caplog.text
        caplog.clear()
        store = run(path)
        row = pd.read_csv(tmp_path / 'out/videos.csv').iloc[0]
        assert row['status'] == 'truncated'
        assert 40 < row['frames_read'] < 60
        assert f'{row["frames_read"]} of 100 declared frames could be decoded' in row['message']
        assert row['message'] in caplog.text
    for index, frame in enumerate(store.table['frame']):
        assert read_counter(store.read(index, (0,), SIZE)[0]) == frame


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    run: Callable[..., WindowStore],
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(window_clip._ClipWriter, 'write', full)
    with pytest.raises(BeastError, match='is full; free some space') as caught:
        run(write_counted('video.mp4'))
    assert not isinstance(caught.value, VideoError)
    assert list((tmp_path / 'out/windows').iterdir()) == []
