"""Pairs by DALI: those of the sampler, exactly, on the CPU (VP9) as on the GPU (H.264)."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from av.packet import Packet

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.errors import BeastError
from beast_lp.pretraining.pairs import PairSampler
from beast_lp.pretraining.split import split_windows
from beast_lp.video.batches import batch_bounds
from beast_lp.video.dali import DaliPairs, PairBatch, build_pipeline, dali_obstacle
from beast_lp.video.packets import PacketClip
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore

pytest.importorskip('nvidia.dali', reason='DALI is an optional dependency')

SIZE = (48, 64)
# grey levels, mean over a frame's pixels and channels: PyAV and DALI convert colours and scale
# each in their own way
TOLERANCE = 3.0
ReadCounter = Callable[[np.ndarray], int]


@pytest.fixture
def store(write_counted: Callable[..., Path], tmp_path: Path) -> WindowStore:
    """Store windows of two numbered videos, in a path with a space."""
    videos = [write_counted(f'a lab/video {i}.mp4', 90, first=1000 * i) for i in range(2)]
    return prepare_windows(
        videos,
        tmp_path / 'a lab' / 'out',
        AnchorConfig(strategy='uniform', per_video=14),
        WindowConfig(processes=1),
        seed=0,
        progress=False,
    )


@pytest.fixture
def vp9(clips_in_vp9: None, store: WindowStore) -> WindowStore:
    """Return a store that DALI decodes without a GPU."""
    return store


def sampler_of(
    store: WindowStore,
    rows: np.ndarray | None = None,
    positive: str = 'adjacent',
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> PairSampler:
    rows = np.arange(len(store)) if rows is None else rows
    videos = store.table['video_id'].to_numpy()[rows]
    return PairSampler(rows, videos, positive, seed, rank, world_size)


def expected_counter(store: WindowStore, row: int) -> int:
    """Return the number that is drawn on a window's anchor."""
    video, frame = (store.table[name].tolist()[row] for name in ('video', 'frame'))
    return 1000 * int(Path(video).stem.split()[-1]) + frame


def rows_of(batches: list[PairBatch]) -> list[list[int]]:
    return torch.cat([batch.pairs for batch in batches]).tolist()


def same(first: list[PairBatch], second: list[PairBatch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.pixels, b.pixels) and torch.equal(a.pairs, b.pairs)
        for a, b in zip(first, second, strict=True)
    )


def check_exact(store: WindowStore, batches: list[PairBatch], read_counter: ReadCounter) -> None:
    """Read the numbers off the frames, and compare the frames with PyAV's."""
    for batch in batches:
        for pixels, pair in zip(batch.pixels.cpu().numpy(), batch.pairs.tolist(), strict=True):
            anchor, window, offset = pair
            assert read_counter(pixels[0]) == expected_counter(store, anchor)
            assert read_counter(pixels[1]) == expected_counter(store, window) + offset
            reference = np.concatenate(
                [store.read(anchor, (0,), SIZE), store.read(window, (offset,), SIZE)]
            )
            difference = np.abs(pixels.astype(int) - reference)
            assert difference.mean((1, 2, 3)).max() < TOLERANCE


@pytest.mark.parametrize('positive', ['adjacent', 'anywhere'])
@pytest.mark.parametrize('workers', [0, 2])
def test_pairs_are_the_samplers_and_exact(
    positive: str,
    workers: int,
    vp9: WindowStore,
    read_counter: ReadCounter,
) -> None:
    rows, held_out = split_windows(vp9.table, 0.2, seed=0)
    assert len(held_out)
    sampler = sampler_of(vp9, rows, positive)
    pairs = DaliPairs(vp9, sampler, 4, SIZE, 'cpu', workers=workers)
    sampler.set_epoch(3)
    batches = list(pairs)
    assert len(batches) == len(pairs)
    for batch in batches:
        assert batch.pixels.dtype == torch.uint8
        assert batch.pixels.shape == (len(batch.pairs), 2, *SIZE, 3)
    check_exact(vp9, batches, read_counter)
    seen = rows_of(batches)
    assert seen == [list(pair) for pair in sampler]
    assert sorted(pair[0] for pair in seen) == sorted(rows)
    assert not {row for pair in seen for row in pair[:2]} & set(held_out)
    assert {pair[2] for pair in seen} == ({-1, 1} if positive == 'adjacent' else {0})
    video = vp9.table['video_id'].tolist()
    assert any(len({video[row] for row in batch.pairs[:, 0].tolist()}) == 2 for batch in batches)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_pass_depends_on_seed_and_epoch_alone(workers: int, vp9: WindowStore) -> None:
    rows = np.arange(0, len(vp9), 2)
    sampler = sampler_of(vp9, rows)
    pairs = DaliPairs(vp9, sampler, 3, SIZE, 'cpu', workers=workers)
    first = list(pairs)
    assert same(first, list(pairs))
    left = iter(pairs)
    next(left)
    # the pass that was left is still there, with batches decoded ahead
    assert same(first, list(pairs))
    sampler.set_epoch(1)
    second = list(pairs)
    assert rows_of(second) != rows_of(first)
    other_seed = DaliPairs(vp9, sampler_of(vp9, rows, seed=1), 3, SIZE, 'cpu')
    assert rows_of(list(other_seed)) != rows_of(first)
    sampler.set_epoch(0)
    assert same(first, list(pairs))


def test_a_resumed_pass_goes_on_where_the_other_stopped(vp9: WindowStore) -> None:
    sampler = sampler_of(vp9)
    pairs = DaliPairs(vp9, sampler, 5, SIZE, 'cpu')
    whole = list(pairs)
    sampler.skip_once(batch_bounds(len(sampler), 5)[2])
    assert same(list(pairs), whole[2:])


def test_ranks_share_an_epoch(vp9: WindowStore) -> None:
    shares = [
        [
            pair[0]
            for pair in rows_of(
                list(
                    DaliPairs(
                        vp9,
                        sampler_of(vp9, rank=rank, world_size=2),
                        4,
                        SIZE,
                        'cpu',
                    )
                )
            )
        ]
        for rank in range(2)
    ]
    assert len(shares[0]) == len(shares[1])
    assert sorted(shares[0] + shares[1]) == list(range(len(vp9)))


def test_batches_are_of_equal_size(vp9: WindowStore) -> None:
    pairs = DaliPairs(vp9, sampler_of(vp9, np.arange(8)), 5, SIZE, 'cpu')
    assert [len(batch.pairs) for batch in pairs] == [4, 4]
    assert len(pairs) == 2


def test_videos_of_different_sizes_share_a_batch(
    write_video: Callable[..., Path],
    counter_frame: Callable[..., np.ndarray],
    read_counter: ReadCounter,
    tmp_path: Path,
    clips_in_vp9: None,
) -> None:
    videos = [
        write_video(f'video {i}.mp4', [counter_frame(1000 * i + k, *size) for k in range(30)])
        for i, size in enumerate([(96, 128), (144, 208)])
    ]
    store = prepare_windows(
        videos,
        tmp_path / 'out',
        AnchorConfig(strategy='uniform', per_video=4),
        WindowConfig(processes=1),
        seed=0,
        progress=False,
    )
    batches = list(DaliPairs(store, sampler_of(store), len(store), SIZE, 'cpu'))
    assert len(batches) == 1
    check_exact(store, batches, read_counter)


def test_missing_damaged_and_short_clips_are_named(vp9: WindowStore) -> None:
    clip = vp9.directory / vp9.table['clip'].iloc[-1]
    content = clip.read_bytes()
    rows = np.arange(len(vp9))

    clip.unlink()
    with pytest.raises(BeastError, match=f'{clip.name} of the window store is missing'):
        list(DaliPairs(vp9, sampler_of(vp9, rows), 4, SIZE, 'cpu'))
    clip.write_bytes(b'')
    with pytest.raises(BeastError, match=f'{clip.name} of the window store is missing or damaged'):
        list(DaliPairs(vp9, sampler_of(vp9, rows), 4, SIZE, 'cpu'))
    clip.write_bytes(content)
    # a window that the clip does not have
    vp9.table.loc[rows[-1], 'window'] += 1
    with pytest.raises(BeastError, match='time stamps'):
        list(DaliPairs(vp9, sampler_of(vp9, rows), 4, SIZE, 'cpu'))


def test_what_dali_cannot_decode_is_reported(
    vp9: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(clip: PacketClip, packets: list[Packet]) -> np.ndarray:
        return np.zeros_like(remux(clip, packets))

    remux = PacketClip.remux
    monkeypatch.setattr(PacketClip, 'remux', broken)
    with pytest.raises(BeastError, match='DALI could not decode a batch'):
        list(DaliPairs(vp9, sampler_of(vp9), 4, SIZE, 'cpu'))


def test_a_gpu_without_memory_is_reported(
    vp9: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise MemoryError('CUDA allocation failed')

    monkeypatch.setattr('nvidia.dali.pipeline.Pipeline.run', full)
    with pytest.raises(BeastError, match='CUDA allocation failed.*loader=pyav'):
        list(DaliPairs(vp9, sampler_of(vp9), 4, SIZE, 'cpu'))


def test_frames_that_dali_loses_are_counted(
    vp9: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remux = PacketClip.remux
    monkeypatch.setattr(PacketClip, 'remux', lambda clip, packets: remux(clip, packets[:-1]))
    with pytest.raises(BeastError, match=r'streams of \[.*\] frames gave \['):
        list(DaliPairs(vp9, sampler_of(vp9), 4, SIZE, 'cpu'))


def test_h264_needs_a_gpu(store: WindowStore) -> None:
    with pytest.raises(BeastError, match='cannot decode H.264 without a GPU.*loader=pyav'):
        DaliPairs(store, sampler_of(store), 4, SIZE, 'cpu')


def test_gpu_pipeline_is_accepted_by_dali(monkeypatch: pytest.MonkeyPatch) -> None:
    from nvidia.dali.pipeline import Pipeline

    outputs: list[Any] = []
    monkeypatch.setattr(Pipeline, 'set_outputs', lambda self, *nodes: outputs.extend(nodes))
    for device in ('cpu', 'gpu'):
        build_pipeline(iter([]), 4, SIZE, device)
    assert [node.device for node in outputs] == ['cpu', 'gpu']


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a CUDA device')
def test_a_gpu_that_is_not_there_is_reported(store: WindowStore) -> None:
    with pytest.raises(BeastError, match='DALI could not decode.*GPU driver'):
        list(DaliPairs(store, sampler_of(store), 4, SIZE, 'gpu'))


@pytest.mark.gpu
def test_gpu_pairs_are_exact(store: WindowStore, read_counter: ReadCounter) -> None:
    for positive in ('adjacent', 'anywhere'):
        sampler = sampler_of(store, positive=positive)
        pairs = DaliPairs(store, sampler, 8, SIZE, 'gpu', workers=1)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            batches = list(pairs)
            assert all(batch.pixels.is_cuda for batch in batches)
            assert sorted(pair[0] for pair in rows_of(batches)) == list(range(len(store)))
            check_exact(store, batches, read_counter)
            assert same(list(pairs), batches)


def test_what_keeps_dali_from_a_gpu_is_named(
    store: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert dali_obstacle(store) == 'there is no CUDA device'

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: None)
    assert dali_obstacle(store) is None
    with monkeypatch.context() as patch:
        patch.setattr(store, 'clip_sizes', lambda: {(96, 128), (16, 46)})
        assert dali_obstacle(store) == "a GPU's decoder takes no H.264 of 46 x 16 px"

    def no_driver(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, 'CDLL', no_driver)
    assert 'libnvcuvid' in (dali_obstacle(store) or '')

    monkeypatch.setitem(sys.modules, 'nvidia.dali', None)
    assert 'DALI cannot be imported' in (dali_obstacle(store) or '')


def test_missing_dali_is_named(vp9: WindowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'nvidia.dali', None)
    with pytest.raises(BeastError, match=r'pip install "beast-lp\[dali\]"'):
        DaliPairs(vp9, sampler_of(vp9), 4, SIZE, 'cpu')


def test_a_dali_that_cannot_be_loaded_is_named(
    vp9: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith('nvidia'):
                raise OSError('libcuda.so.1: cannot open shared object file')

    for name in [name for name in sys.modules if name.split('.')[0] == 'nvidia']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'meta_path', [Finder(), *sys.meta_path])
    with pytest.raises(BeastError, match='DALI cannot be imported .libcuda.so.1'):
        DaliPairs(vp9, sampler_of(vp9), 4, SIZE, 'cpu')


def test_the_module_does_not_import_dali() -> None:
    code = 'import sys, beast_lp.video.dali; sys.exit("nvidia.dali" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], timeout=120).returncode == 0
