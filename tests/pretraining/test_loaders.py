"""Who reads the training frames, and that nothing else depends on it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from beast_lp.config import AnchorConfig, BeastConfig, WindowConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.pretraining import loaders
from beast_lp.pretraining.loaders import (
    PipedReader,
    Trial,
    choose_dali,
    loader_workers,
    training_loader,
    trial,
)
from beast_lp.pretraining.pairs import PairLoader, PairSampler
from beast_lp.video.window_prepare import prepare_windows
from beast_lp.video.window_store import WindowStore

IMAGE_SIZE = (48, 64)
BATCH = 4
READERS = ('pyav', 'dali')


def _store(videos: list[Path], directory: Path) -> WindowStore:
    return prepare_windows(
        videos,
        directory,
        AnchorConfig(strategy='uniform', per_video=9),
        WindowConfig(processes=1),
        0,
        progress=False,
    )


@pytest.fixture
def store(videos: list[Path], tmp_path: Path, no_gpu: None, clips_in_vp9: None) -> WindowStore:
    """Return a store of two videos in which a square jumps about, which DALI reads on a CPU."""
    return _store(videos, tmp_path / 'out')


def config_of(loader: str, positive: str = 'adjacent', **training: Any) -> BeastConfig:
    return parse_config(
        {
            'model': {'image_size': list(IMAGE_SIZE)},
            'pairs': {'positive': positive},
            'training': {'loader': loader, 'batch_size': 2 * BATCH, 'num_workers': 0, **training},
        }
    )


def sampler_of(
    store: WindowStore, positive: str = 'adjacent', rank: int = 0, world_size: int = 1
) -> PairSampler:
    rows = np.arange(len(store))
    return PairSampler(rows, store.table['video_id'].to_numpy(), positive, 3, rank, world_size)


def loader_of(
    name: str,
    store: WindowStore,
    positive: str = 'adjacent',
    rank: int = 0,
    world_size: int = 1,
    **training: Any,
) -> PairLoader:
    if name == 'dali':
        pytest.importorskip('nvidia.dali', reason='DALI is an optional dependency')
    sampler = sampler_of(store, positive, rank, world_size)
    return training_loader(config_of(name, positive, **training), store, sampler)


def frames_of(loader: PairLoader) -> set[bytes]:
    """Return the anchors' frames of an epoch."""
    return {frame.numpy().tobytes() for batch in loader for frame in batch[:, 0]}


@pytest.mark.parametrize('positive', ['adjacent', 'anywhere'])
@pytest.mark.parametrize('workers', [0, 1])
def test_both_readers_give_the_same_batches(
    store: WindowStore,
    positive: str,
    workers: int,
) -> None:
    ours, dali = (loader_of(name, store, positive, num_workers=workers) for name in READERS)
    for epoch in range(2):
        for loader in (ours, dali):
            loader.sampler.set_epoch(epoch)
        first, second = list(ours), list(dali)
        assert len(first) == len(ours) == len(dali) == 5
        assert [len(batch) for batch in first] == [3, 4, 3, 4, 4]
        for a, b in zip(first, second, strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype == torch.uint8
            difference = (a.float() - b.float()).abs()
            assert difference.mean() < 3
            # other frames have a square at another place
            assert difference.mean(dim=(2, 3, 4)).max() < 6


def test_workers_need_no_shared_memory_where_it_is_small(
    store: WindowStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = list(loader_of('pyav', store, num_workers=1))
    assert 'shared memory' not in caplog.text
    monkeypatch.setattr(loaders, 'free_shared_memory', lambda: 1_000_000)
    loader = loader_of('pyav', store, num_workers=2, batch_size=2 * BATCH)
    assert isinstance(loader.reader, DataLoader)
    monkeypatch.setattr(loaders, 'free_shared_memory', lambda: 100_000)
    loader = loader_of('pyav', store, num_workers=2)
    assert isinstance(loader.reader, PipedReader)
    assert '(/dev/shm, 0 MB free) is too small for the batches of 2 worker' in caplog.text
    found = list(loader)
    assert len(found) == len(loader) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        assert torch.equal(batch, other)
        # training changes batches in place
        batch += 1
    assert isinstance(loader_of('pyav', store, num_workers=0).reader, DataLoader)


@pytest.mark.parametrize('name', READERS)
@pytest.mark.parametrize('taken', [0, 1, 3, 5])
def test_a_loader_resumes_within_an_epoch(name: str, store: WindowStore, taken: int) -> None:
    whole = loader_of(name, store)
    whole.sampler.set_epoch(4)
    batches = list(whole)
    torn = loader_of(name, store)
    torn.sampler.set_epoch(4)
    passing = iter(torn)
    for _ in range(taken):
        next(passing)
    state = torn.state_dict()
    place = {'epoch': 5, 'batches': 0} if taken == 5 else {'epoch': 4, 'batches': taken}
    assert state == {**place, 'processes': 1}

    resumed = loader_of(name, store)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    rest = list(resumed)
    if taken < 5:
        assert all(torch.equal(a, b) for a, b in zip(rest, batches[taken:], strict=True))
    assert resumed.state_dict() == {
        'epoch': resumed.sampler.epoch + 1,
        'batches': 0,
        'processes': 1,
    }


def test_another_number_of_processes_cannot_resume_an_epoch(store: WindowStore) -> None:
    state = loader_of('pyav', store).state_dict()
    two = loader_of('pyav', store, rank=1, world_size=2)
    with pytest.raises(
        BeastError, match='started by 1 process and cannot be resumed by 2; restore'
    ):
        two.load_state_dict(state)
    two.load_state_dict(two.state_dict())
    # as it was saved before
    del state['processes']
    two.load_state_dict({**state, 'batches': 1})
    assert two.state_dict() == {'epoch': 0, 'batches': 1, 'processes': 2}


def test_a_checkpoint_of_one_batch_more_resumes_with_the_next_epoch(store: WindowStore) -> None:
    # 9 pairs were batches of 4, 4 and 1, and are now batches of 4 and 5
    two = loader_of('pyav', store, rank=1, world_size=2)
    two.load_state_dict({'epoch': 0, 'batches': 2, 'processes': 2})
    assert two.state_dict() == {'epoch': 1, 'batches': 0, 'processes': 2}


@pytest.mark.parametrize('name', READERS)
def test_ranks_read_different_anchors(name: str, store: WindowStore) -> None:
    shares = [frames_of(loader_of(name, store, rank=rank, world_size=2)) for rank in range(2)]
    assert len(shares[0]) == len(shares[1]) == 9
    assert shares[0] | shares[1] == frames_of(loader_of(name, store))


def test_each_process_needs_an_anchor(store: WindowStore) -> None:
    with pytest.raises(BeastError, match='nothing is left to train on: 18 anchors .* 19 proc'):
        loader_of('pyav', store, world_size=19)


def test_the_choice_is_said(
    store: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, 'lightning_pose')

    def choose(
        setting: str,
        obstacle: str | None = None,
        outcome: Trial | None = None,
    ) -> str:
        caplog.clear()
        monkeypatch.setattr(loaders, 'dali_obstacle', lambda _: obstacle)
        monkeypatch.setattr(loaders, 'trial', lambda *_: outcome or Trial(None, 1.0, 1.5))
        device = choose_dali(setting, store, IMAGE_SIZE, 4, 18, 4)
        (record,) = caplog.records
        return f'{device}: {record.message}'

    pyav = 'None: beast: PyAV reads the windows, on the CPU, because'
    assert choose('auto') == 'gpu: beast: DALI reads the windows, on the GPU'
    assert choose('auto', 'there is none') == f'{pyav} there is none'
    assert choose('auto', outcome=Trial('it fails')) == f'{pyav} it fails'
    slow = Trial(None, 27.3, 1.5)
    assert choose('auto', outcome=slow) == (f'{pyav} DALI takes 27 ms a pair here and PyAV 1.5 ms')
    assert choose('pyav') == f'{pyav} beast.training.loader says so'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert choose('dali') == 'cpu: beast: DALI reads the windows, on the CPU'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert choose('dali') == 'gpu: beast: DALI reads the windows, on the GPU'


def test_without_a_cuda_device_auto_is_pyav(store: WindowStore) -> None:
    assert choose_dali('auto', store, IMAGE_SIZE, 1, 18, 4) is None


def test_a_trial_passes_or_says_what_is_wrong(
    store: WindowStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('nvidia.dali', reason='DALI is an optional dependency')
    one, eight = (trial(store, IMAGE_SIZE, 'cpu', workers, 18, 4) for workers in (1, 8))
    assert one.failure is eight.failure is None
    assert one.dali > 0
    assert one.pyav > 2 * eight.pyav > 0

    read = WindowStore.read
    monkeypatch.setattr(WindowStore, 'read', lambda *arguments: read(*arguments)[..., ::-1])
    failure = trial(store, IMAGE_SIZE, 'cpu', 1, 18, 4).failure or ''
    assert 'DALI gives other frames than PyAV' in failure
    monkeypatch.undo()

    (store.directory / store.table['clip'].iloc[0]).unlink()
    failure = trial(WindowStore.open(store.directory), IMAGE_SIZE, 'cpu', 1, 18, 4).failure or ''
    assert 'a trial of DALI failed' in failure
    assert 'missing or damaged' in failure


@pytest.mark.gpu
def test_a_trial_passes_on_a_gpu(videos: list[Path], tmp_path: Path) -> None:
    # its decoder takes no VP9 as small as this
    store = _store(videos, tmp_path / 'out')
    outcome = trial(store, IMAGE_SIZE, 'gpu', 1, 18, 4)
    assert outcome.failure is None
    assert outcome.dali > 0


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loader_workers(3) == 3
    for cores, workers in ((1, 0), (2, 1), (7, 3), (64, 8)):
        monkeypatch.setattr(loaders, 'usable_cores', lambda n=cores: n)
        assert loader_workers(None) == workers
