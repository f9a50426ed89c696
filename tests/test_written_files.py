"""Every file that the package writes: on a full disk, its permissions, and beside laid links."""

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from beast_lp.config import WindowConfig
from beast_lp.config.segmentation import FittingConfig, HeadConfig
from beast_lp.errors import BeastError
from beast_lp.features.info import FeatureInfo
from beast_lp.features.pca import Basis
from beast_lp.features.writer import FeatureWriter
from beast_lp.pretraining.checkpoints import AtomicCheckpoints
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.reports.page import Section, write_page
from beast_lp.runs.files import PART_SUFFIX, write_table
from beast_lp.segmentation.excerpt import write_excerpt
from beast_lp.segmentation.fit import fit_segmenter
from beast_lp.segmentation.model import build_segmenter
from beast_lp.segmentation.nwb import write_nwb
from beast_lp.segmentation.outputs import Prediction, write_prediction
from beast_lp.segmentation.streams import Streams
from beast_lp.segmentation.training_data import TrainingData
from beast_lp.video.window_clip import build_clip
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.save import save_backbone

WriteVideo = Callable[..., Path]

# bytes; each writer below writes more than that
SMALL = 100_000
# results that are folders
FOLDERS = {'backbone', 'v'}
NOISE = np.random.default_rng(0)


def _checkpoint(path: Path, video: Path) -> None:
    state = {'state_dict': {'w': torch.zeros(50_000)}, 'global_step': 1}
    AtomicCheckpoints().save_checkpoint(state, path / 'last.ckpt')


def _backbone(path: Path, video: Path) -> None:
    save_backbone(
        path / 'backbone', Architecture(64, 1, 1, 64, 16, (32, 32)), {'w': torch.zeros(50_000)}
    )


def _store(path: Path, video: Path) -> None:
    info = FeatureInfo('v.mp4', 'net', 'backbone', 'a1', dim=1000)
    with FeatureWriter(path / 'v', info) as writer:
        for row in range(50):
            writer.append(np.zeros((1, 1000)), np.array([row]), np.array([row / 25]))
        writer.finish(50)


def _basis(path: Path, video: Path) -> None:
    Basis(np.zeros(20_000), np.zeros((2, 20_000)), np.ones(2)).save(path / 'frame_pca.npz')


def _clip(path: Path, video: Path) -> None:
    build_clip(video, np.arange(1, 39), path / 'v.mp4', WindowConfig(), progress=False)


def _table(path: Path, video: Path) -> None:
    write_table(pd.DataFrame({'a': np.zeros(50_000)}), path / 'table.csv')


def _page(path: Path, video: Path) -> None:
    figure = Figure()
    figure.subplots().imshow(NOISE.random((400, 400)))
    write_page(path / 'report.html', 'a page', [Section('a', figures={'f': figure})], path)


def _settings(path: Path, video: Path) -> None:
    with RunFiles(path / 'run').claimed({'beast': {'names': ['x' * 1000] * 200}}):
        pass


def _segmenter(path: Path, video: Path) -> None:
    features = np.zeros((64, 16), np.float32)
    labels = np.arange(64) % 2
    data = TrainingData([Streams((features,))], [labels], [np.ones(64, bool)], ['v'])
    classes = ('a', 'b')
    model = build_segmenter([(16,)], 2, HeadConfig(), 0)
    fit_segmenter(model, data, classes, FittingConfig(epochs=1), 0, path / 'last.ckpt', 'test')


def _prediction(video: Path, frames: int) -> Prediction:
    labels = np.arange(frames) // 2 % 2
    probabilities = np.full((frames, 2), 0.5)
    times = np.arange(frames) / 25
    return Prediction('v', video, ('a', 'b'), probabilities, labels, 25.0, times)


def _labels(path: Path, video: Path) -> None:
    write_prediction(_prediction(video, 20_000), path)


def _excerpt(path: Path, video: Path) -> None:
    write_excerpt(_prediction(video, 40), path / 'excerpt.mp4', 2.0)


def _nwb(path: Path, video: Path) -> None:
    pytest.importorskip('ndx_ethogram')
    write_nwb(_prediction(video, 4000), path / 'v.nwb')


WRITERS: dict[str, Callable[[Path, Path], None]] = {
    'checkpoint': _checkpoint,
    'backbone': _backbone,
    'feature store': _store,
    'components': _basis,
    'window clip': _clip,
    'table': _table,
    'page': _page,
    'settings': _settings,
    'segmenter': _segmenter,
    'labels': _labels,
    'excerpt': _excerpt,
    'NWB': _nwb,
}
every_writer = pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS)


@pytest.fixture
def video(write_video: WriteVideo) -> Path:
    """Return a video of noise, which does not compress."""
    return write_video('v.mp4', NOISE.integers(0, 256, (40, 96, 96, 3), np.uint8))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 100 kB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mounted = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', f'size={SMALL}', 'tmpfs', str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip('this user may not mount a small disk')
    yield folder
    # files that a failed writer has not closed yet would keep the disk busy
    gc.collect()
    subprocess.run(['umount', str(folder)], check=True)


@every_writer
@pytest.mark.filterwarnings('error::pytest.PytestUnraisableExceptionWarning')
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    write: Callable[[Path, Path], None], small_disk: Path, video: Path
) -> None:
    with pytest.raises(BeastError, match='^the disk that holds .*disk.* is full; free some space'):
        write(small_disk, video)
    gc.collect()
    # an unfinished feature store is kept, because it is resumed
    left = [path for path in small_disk.rglob('*') if 'v.part' not in path.parts]
    assert [p for p in left if PART_SUFFIX in p.name or p.name.startswith('tmp')] == []
    assert not any(path.suffix in ('.mp4', '.ckpt', '.nwb', '.npz', '.html') for path in left)


@every_writer
@pytest.mark.parametrize('mask', [0o002, 0o077])
def test_permissions_follow_the_umask(
    write: Callable[[Path, Path], None], mask: int, tmp_path: Path, video: Path
) -> None:
    folder = tmp_path / 'out'
    folder.mkdir()
    before = os.umask(mask)
    try:
        write(folder, video)
    finally:
        os.umask(before)
    files = [path for path in folder.rglob('*') if path.is_file()]
    assert files
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == dict.fromkeys(
        (path.name for path in files), oct(0o666 & ~mask)
    )


@every_writer
def test_no_writer_follows_a_link_that_lies_where_its_temporary_file_will_be(
    write: Callable[[Path, Path], None], tmp_path: Path, video: Path
) -> None:
    first, second, victims = (tmp_path / name for name in ('first', 'second', 'victims'))
    for folder in (first, second, victims):
        folder.mkdir()
    (victims / 'victim').write_text('precious')
    write(first, video)
    for path in first.rglob('*'):
        folder, link = second / path.parent.relative_to(first), path.name + PART_SUFFIX
        if path.name in FOLDERS:
            (folder / link).symlink_to(victims)
        elif not FOLDERS.intersection(path.parts):
            folder.mkdir(exist_ok=True)
            (folder / link).symlink_to(victims / 'victim')
    write(second, video)
    assert [path.name for path in victims.iterdir()] == ['victim']
    assert (victims / 'victim').read_text() == 'precious'
    assert {path.relative_to(first) for path in first.rglob('*')} <= {
        path.relative_to(second) for path in second.rglob('*') if not path.is_symlink()
    }
