"""What holds for every video: windows are complete, apart, and read back as they were."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.video import anchors
from beast_lp.video.anchors import STRATEGIES
from beast_lp.video.selection import select_anchors
from beast_lp.video.thumbnails import motion_energy
from beast_lp.video.window_clip import build_clip
from beast_lp.video.window_store import WindowStore, write_index


@given(
    st.integers(3, 120),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 40),
    st.sampled_from(list(STRATEGIES)),
    st.integers(0, 3),
)
def test_anchors_are_apart_and_their_windows_inside_the_video(
    count: int,
    step: int,
    spacing: int,
    wanted: int,
    strategy: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(count)
    # steps of a walk, some of which repeat a frame: 16 pixels of one grey, but for a little noise
    level = np.repeat(rng.integers(0, 200, count), rng.integers(1, 3, count))[:count]
    thumbnails = (level[:, None] + rng.integers(0, 40, (1, 16))).astype(np.uint8)
    energy = motion_energy(thumbnails, step)
    try:
        with mock.patch.object(anchors, 'MIN_SPACING', spacing):
            found = select_anchors(thumbnails, energy, AnchorConfig(strategy, wanted), seed, step)
    except BeastError:
        assert count < 2 * step + 1 or (np.ptp(thumbnails, axis=0) <= 1).all()
        return
    frames = found.frame
    assert 1 <= len(frames) <= wanted
    assert (np.diff(frames) >= spacing * step).all()
    assert frames[0] >= step and frames[-1] < count - step
    if strategy in ('distinct', 'farthest'):
        assert len(np.unique(thumbnails[frames], axis=0)) == len(frames)
    if strategy == 'random':
        # no room is left for one more
        room = np.ones(count, bool)
        room[:step] = room[count - step :] = False
        for frame in frames:
            room[max(0, frame - spacing * step + 1) : frame + spacing * step] = False
        assert len(frames) == wanted or not room.any()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    step=st.integers(1, 3),
    data=st.data(),
    chosen=st.sets(st.integers(0, 59), min_size=1, max_size=8),
)
def test_windows_are_read_back_whatever_the_order(
    step: int,
    chosen: set[int],
    data: st.DataObject,
    write_counted: Callable[..., Path],
    read_counter: Callable[[np.ndarray], int],
    tmp_path: Path,
) -> None:
    ordinals = np.unique(np.clip(sorted(chosen), step, 59 - step))
    source = tmp_path / 'video.mp4'
    if not source.exists():
        write_counted('video.mp4', 60)
    build_clip(source, ordinals, tmp_path / 'clip.mp4', WindowConfig(), progress=False, step=step)
    write_index(
        tmp_path,
        pd.DataFrame(
            [
                {
                    'video': str(source),
                    'video_id': 'v',
                    'frame': frame,
                    'clip': 'clip.mp4',
                    'window': window,
                    'step': step,
                    'fps': 25.0,
                    'project': '',
                }
                for window, frame in enumerate(ordinals)
            ]
        ),
    )
    store = WindowStore.open(tmp_path)
    for _ in range(6):
        index = data.draw(st.integers(0, len(ordinals) - 1))
        offsets = data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=4))
        frames = store.read(index, offsets, (96, 128))
        expected = [ordinals[index] + step * offset for offset in offsets]
        assert [read_counter(frame) for frame in frames] == expected
