"""Every file that a user names: a pipe, a device, one that may not be read, and a bomb."""

import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding.sources import read_numbers
from beast_lp.encoding.spikes import read_activity
from beast_lp.errors import BeastError
from beast_lp.features.info import FeatureInfo
from beast_lp.features.keypoints import read_keypoints
from beast_lp.features.pca import Basis, open_frame_pca
from beast_lp.features.store import FeatureStore
from beast_lp.features.writer import FeatureWriter
from beast_lp.host.compose import compose_config
from beast_lp.host.jobs.compared_models import check_model
from beast_lp.host.jobs.sources import pose_source
from beast_lp.runs import readable
from beast_lp.runs.settings import read_settings
from beast_lp.segmentation.boris import read_boris
from beast_lp.segmentation.label_files import _looks_like_events
from beast_lp.segmentation.one_hot import read_one_hot
from beast_lp.video.animal_boxes import read_searched
from beast_lp.video.boxes import Boxes
from beast_lp.video.labelled import read_images, read_labels
from beast_lp.video.labelled_boxes import read_labelled_boxes
from beast_lp.video.read import FrameReader, find_videos, probe
from beast_lp.vit.safe_load import read_tensors
from beast_lp.vit.weights import read_encoder

INFO = FeatureInfo('v.mp4', 'net', 'backbone', 'a1', dim=1)


def _resume(path: Path) -> None:
    path.parent.rename(path.parent.with_name('v.part'))
    FeatureWriter(path.parent, INFO)


# the name of a file in a folder of its own -> what reads it
READERS: dict[str, Callable[[Path], object]] = {
    'config.yaml': lambda path: compose_config(path, []),
    'beast.yaml': read_settings,
    'm/config.yaml': lambda path: check_model(path.parent, []),
    'p/config.yaml': lambda path: pose_source(str(path.parent), None, 'fp32'),
    'video.mp4': probe,
    'frames.mp4': lambda path: next(iter(FrameReader(path))),
    'v_bbox.csv': Boxes,
    'bbox.csv': read_labelled_boxes,
    'v_searched.npz': read_searched,
    'CollectedData.csv': lambda path: read_labels([path], path.parent),
    'img.png': lambda path: read_images([path], (8, 8)),
    'keypoints.csv': read_keypoints,
    'one_hot.csv': read_one_hot,
    'boris.csv': lambda path: read_boris(path, 'v', None),
    'labels.csv': _looks_like_events,
    'spikes.npz': read_activity,
    'spikes.nwb': read_activity,
    'camera.npy': lambda path: read_numbers(path, 'camera times'),
    'camera.csv': lambda path: read_numbers(path, 'camera times'),
    'w.safetensors': read_tensors,
    'w.pt': read_tensors,
    'hub/config.json': lambda path: read_encoder(path.parent),
    'frame_pca.npz': open_frame_pca,
    'v/info.json': lambda path: FeatureStore.open(path.parent),
    'v/progress.json': _resume,
}
every_reader = pytest.mark.parametrize(('name', 'read'), READERS.items(), ids=READERS)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """End a test that waits for a pipe."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError('the reader waits for ever')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@every_reader
@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder'])
def test_what_is_no_file_is_refused_at_once(
    name: str, read: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    _weights_beside(path)
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    else:
        path.mkdir()
    if kind == 'folder' and name == 'hub/config.json':
        pytest.skip('a folder counts as no config')
    with pytest.raises(BeastError) as caught:
        read(path)
    assert str(tmp_path) in str(caught.value) and '\n' not in str(caught.value)


@every_reader
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    name: str, read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('x')
    _weights_beside(path)
    path_open = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == path.name:
            # permissions do not bind root, who may run this
            raise PermissionError(13, 'Permission denied', str(self))
        return path_open(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, 'open', refuse)
    with pytest.raises(BeastError, match=r'cannot be read.*Permission denied'):
        read(path)


def _weights_beside(path: Path) -> None:
    if path.name == 'config.json':
        from safetensors.torch import save_file
        from torch import zeros

        save_file({'embeddings.cls_token': zeros(1, 1, 8)}, path.with_name('model.safetensors'))


@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_no_video_is_looked_for_in_a_pipe(kind: str, tmp_path: Path) -> None:
    path = tmp_path / 'v.mp4'
    if kind == 'pipe':
        os.mkfifo(path)
    else:
        path.symlink_to('/dev/zero')
    with pytest.raises(BeastError, match='is a pipe or a device, not a video file'):
        find_videos(path)


# ---------------------------------------------------------------------------------------------
# bombs
# ---------------------------------------------------------------------------------------------

ARRAY_READERS = {
    'spikes.npz': read_activity,
    'frame_pca.npz': open_frame_pca,
    'patch_pca.npz': Basis.load,
    'camera.npy': partial(read_numbers, what='camera times'),
}


def _huge_array(path: Path, member: str | None) -> None:
    """Write a header that promises 12 GB, without them."""
    header = path.with_name('header')
    with header.open('wb') as file:
        np.lib.format.write_array_header_2_0(
            file, {'descr': '<f8', 'fortran_order': False, 'shape': (1_500_000, 1000)}
        )
    if member is None:
        header.rename(path)
    else:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.write(header, member)


@pytest.mark.parametrize(('name', 'read'), ARRAY_READERS.items(), ids=ARRAY_READERS)
def test_arrays_larger_than_any_memory_are_refused_by_their_headers(
    name: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / name
    _huge_array(path, 'mean.npy' if path.suffix == '.npz' else None)
    with pytest.raises(BeastError, match='it holds 12 GB, and at most 8.59 are read'):
        read(path)


def test_many_arrays_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, 'MOST_ARRAY_BYTES', 1200)
    path = tmp_path / 'a.npz'
    np.savez_compressed(path, a=np.zeros(100), b=np.zeros(100))
    with pytest.raises(ValueError, match='GB, and at most 1.2e-06 are read'):
        readable.read_arrays(path)
    np.savez_compressed(path, a=np.zeros(60), b=np.zeros(1))
    assert readable.read_arrays(path)['a'].shape == (60,)


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.array([{}], dtype=object))
    np.savez(tmp_path / 'a.npz', a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match='Object arrays cannot be loaded'):
        readable.read_array(tmp_path / 'a.npy')
    with pytest.raises(ValueError, match='Object arrays cannot be loaded'):
        readable.read_arrays(tmp_path / 'a.npz')


ALIASES = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n' for i in range(1, 12)
)


@pytest.mark.parametrize(
    'content', [ALIASES, 'a: &a [*a]\n', 'a: &a {b: *a}\n'], ids=['bomb', 'circle', 'mapping']
)
@pytest.mark.parametrize(
    'name', ['config.yaml', 'beast.yaml', 'm/config.yaml', 'p/config.yaml'], ids=str
)
def test_aliases_that_stand_for_too_much_are_refused(
    content: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(BeastError, match=r'more than 100000 values, because its aliases'):
        READERS[name](path)


def test_ordinary_aliases_are_read(tmp_path: Path) -> None:
    (tmp_path / 'config.yaml').write_text('a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n')
    cfg = compose_config(tmp_path / 'config.yaml', [])
    assert cfg.b == {'x': 1, 'y': 2} and cfg.c[1].x == 1
