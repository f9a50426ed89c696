"""Building clips in several processes."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import av
import pytest

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.video import window_build
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore

OwnProcesses = Callable[[], set[BaseProcess]]


@pytest.fixture
def own_processes() -> OwnProcesses:
    """Return a function that returns the test's own; readers of tests before it may still end."""
    others = set(multiprocessing.active_children())
    return lambda: set(multiprocessing.active_children()) - others


def _prepare(videos: list[Path], output_dir: Path, processes: int | None) -> WindowStore:
    return prepare_windows(
        videos,
        output_dir,
        AnchorConfig(per_video=5),
        WindowConfig(processes=processes),
        0,
    )


@pytest.fixture
def long_video(write_counted: Callable[..., Path], tmp_path: Path) -> Path:
    """A video that takes long to read and short to write: a few frames over and over."""
    source = write_counted('mjpeg.avi', 20)
    path = tmp_path / 'long.avi'
    with av.open(str(source)) as container, av.open(str(path), 'w') as out:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        stream = out.add_stream_from_template(container.streams.video[0])
        for ordinal in range(60_000):
            packet = packets[ordinal % len(packets)]
            packet.stream, packet.pts, packet.dts = stream, ordinal, ordinal
            out.mux(packet)
    return path


def test_processes_change_nothing(
    write_counted: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    own_processes: OwnProcesses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('beast_lp.runs.progress.is_terminal', lambda: True)
    videos = [write_counted(f'{name}.mp4', count) for name, count in (('a', 60), ('b', 40))]
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    videos.insert(1, tmp_path / 'broken.mp4')
    _prepare(videos, tmp_path / 'one', 1)
    alone = capfd.readouterr().err
    assert 'a.mp4: 100%' in alone
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        _prepare(videos, tmp_path / 'two', 2)
    together = capfd.readouterr().err
    assert 'videos: 100%' in together
    assert 'a.mp4' not in together.replace(str(tmp_path), '')
    # said by the process that people see
    assert 'broken.mp4 cannot be read as a video' in caplog.text
    files = sorted(
        path.relative_to(tmp_path / 'one') for path in (tmp_path / 'one').rglob('[!.]*.*')
    )
    # the lock, which some systems delete, is not among them
    assert len(files) == 7
    for file in files:
        assert (tmp_path / 'one' / file).read_bytes() == (tmp_path / 'two' / file).read_bytes()
    assert not own_processes()


def test_one_video_needs_no_process(
    write_counted: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process(*_: object) -> None:
        raise AssertionError('a process was started')

    monkeypatch.setattr(window_build, 'ProcessPoolExecutor', no_process)
    video = write_counted('video.mp4')
    assert len(_prepare([video], tmp_path / 'out', 8)) > 0
    # nor do videos whose clips are there
    assert len(_prepare([video, write_counted('more.mp4')], tmp_path / 'out', 1)) > 5
    assert len(_prepare([video, tmp_path / 'more.mp4'], tmp_path / 'out', 8)) > 5


@pytest.mark.parametrize(
    ('cores', 'worth', 'started'),
    [
        (2, 1, 2),
        (20, 1, 3),
        (1, 1, 0),
        (4, 10**9, 0),
    ],
)
def test_the_number_of_processes_fits_the_machine_and_the_work(
    write_counted: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    worth: int,
    started: int,
) -> None:
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, count: int, *_: object) -> None:
            asked.append(count)
            super().__init__(count)

    monkeypatch.setattr(window_build, 'ProcessPoolExecutor', Pool)
    monkeypatch.setattr(window_build, 'WORTH_A_PROCESS', worth)
    monkeypatch.setattr(window_build, 'usable_cores', lambda: cores)
    videos = [write_counted(f'{name}.mp4', 20) for name in 'abc']
    _prepare(videos, tmp_path / 'out', None)
    assert asked == [started] * (started > 0)


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_process_is_said_and_what_is_finished_stays(
    write_counted: Callable[..., Path],
    long_video: Path,
    tmp_path: Path,
    own_processes: OwnProcesses,
) -> None:
    out = tmp_path / 'out'
    short = write_counted('short.mp4', 30)

    def kill() -> None:
        _wait_for((out / 'windows/short.json').exists)
        for process in own_processes():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(BeastError, match='was killed.*beast.windows.processes=1'):
        _prepare([long_video, short], out, 2)
    thread.join()
    names = {path.name for path in (out / 'windows').iterdir()}
    assert {'short.mp4', 'short.json'} <= names
    assert not {'long.mp4', 'long.json', 'index.csv'} & names
    _wait_for(lambda: not own_processes())


def test_processes_end_with_a_killed_run(
    write_counted: Callable[..., Path], long_video: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    code = (
        'import sys; from pathlib import Path; '
        'from beast_lp.config import AnchorConfig, WindowConfig; '
        'from beast_lp.video.window_prepare import prepare_windows; '
        'prepare_windows([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]), '
        'AnchorConfig(), WindowConfig(processes=2), 0)'
    )
    run = subprocess.Popen(
        [sys.executable, '-c', code, out, long_video, write_counted('short.mp4', 30)],
        stderr=subprocess.DEVNULL,
    )
    _wait_for((out / 'windows/short.json').exists)
    children = Path(f'/proc/{run.pid}/task/{run.pid}/children').read_text().split()
    assert len(children) >= 2
    run.kill()
    run.wait()
    _wait_for(lambda: not any(_runs(int(child)) for child in children))
    assert not (out / 'windows/long.json').exists()


def _runs(pid: int) -> bool:
    try:
        # where nobody collects orphans, an ended one stays as a zombie
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_problem_of_one_video_stops_the_others(
    write_counted: Callable[..., Path],
    long_video: Path,
    tmp_path: Path,
    own_processes: OwnProcesses,
) -> None:
    short = write_counted('short.mp4', 30)
    for video in (short, long_video):
        rows = ''.join(f'{row},0,0,96,128\n' for row in range(20))
        (tmp_path / f'{video.stem}_bbox.csv').write_text(',x,y,h,w\n' + rows)
    with pytest.raises(BeastError, match='20 rows, but the video has more frames'):
        prepare_windows(
            [short, long_video],
            tmp_path / 'out',
            AnchorConfig(),
            WindowConfig(processes=2, bbox_dir=str(tmp_path)),
            0,
            progress=False,
        )
    _wait_for(lambda: not own_processes())
    assert not list((tmp_path / 'out/windows').glob('*.json'))
