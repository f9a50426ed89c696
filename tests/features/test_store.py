import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.features import writer as writer_module
from beast_lp.features.frames import read_store
from beast_lp.features.info import FeatureInfo
from beast_lp.features.store import FeatureStore, checksum, read_rows, store_directories
from beast_lp.features.writer import FeatureWriter, store_difference
from beast_lp.video.times import FrameTimes

Rows = dict[str, np.ndarray]
MakeInfo = Callable[..., FeatureInfo]
SaveStore = Callable[..., None]


def part(rows: Rows, first: int, last: int) -> Rows:
    return {name: array[first:last] for name, array in rows.items()}


def test_a_store_is_read_back_and_by_numpy_alone(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
) -> None:
    info = make_info()
    with FeatureWriter(tmp_path / 'käfig 1', info) as writer:
        writer.append(**part(rows, 0, 7))
        assert not (tmp_path / 'käfig 1').exists()
        writer.append(**part(rows, 7, 10))
        writer.finish(30, 'cut short')
    store = FeatureStore.open(str(tmp_path / 'käfig 1'))
    checksums = {name: checksum(store.directory / f'{name}.npy') for name in rows}
    assert store.info == replace(info, frames=30, damage='cut short', checksums=checksums)
    assert len(store) == 10
    assert store.patches is not None
    assert isinstance(store.patches, np.memmap)
    for name, array in rows.items():
        np.testing.assert_array_equal(getattr(store, name), array)
        plain = np.load(tmp_path / 'käfig 1' / f'{name}.npy')
        np.testing.assert_array_equal(plain, array)
    kinds = {name: getattr(store, name).dtype for name in rows}
    assert kinds == {'cls': 'float32', 'patches': 'float16', 'frame': 'int64', 'time': 'float64'}
    assert sorted(p.name for p in store.directory.iterdir()) == [
        'cls.npy',
        'frame.npy',
        'info.json',
        'patches.npy',
        'time.npy',
    ]
    size = sum(array.nbytes for array in (store.cls, store.patches, store.frame, store.time))
    assert size == 10 * info.bytes_per_frame


def test_rows_are_read_without_mapping_them(
    tmp_path: Path,
    make_info: MakeInfo,
    save_store: SaveStore,
    rows: Rows,
) -> None:
    save_store(tmp_path / 'a', make_info(), **rows)
    store = FeatureStore.open(tmp_path / 'a')
    for array, expected in ((store.patches, rows['patches']), (rows['cls'], rows['cls'])):
        assert array is not None
        for start, stop in ((0, 10), (3, 4), (7, 99), (10, 12)):
            found = read_rows(array, start, stop)
            np.testing.assert_array_equal(found, expected[start:stop])
            assert not isinstance(found, np.memmap) and found.base is not array


def test_a_store_without_patches(
    tmp_path: Path,
    make_info: MakeInfo,
    save_store: SaveStore,
    rows: Rows,
) -> None:
    del rows['patches']
    save_store(tmp_path / 'a', make_info(grid=None, patch_dim=None), **rows)
    store = FeatureStore.open(tmp_path / 'a')
    assert store.patches is None
    assert store.info.frames == 28


def test_what_was_committed_survives_a_kill(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = FeatureWriter(tmp_path / 'a', make_info())
    killed.append(**part(rows, 0, 4))
    killed.commit()
    # these reach the files and not the record of progress, as far as the buffers were written out
    killed.append(**part(rows, 4, 9))
    killed.close()

    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        assert writer.rows == 4
        writer.append(**part(rows, 4, 10))
        writer.finish(30)
    store = FeatureStore.open(tmp_path / 'a')
    for name, array in rows.items():
        np.testing.assert_array_equal(getattr(store, name), array)


def test_progress_is_committed_while_rows_are_written(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, 'COMMIT_SECONDS', -1)
    killed = FeatureWriter(tmp_path / 'a', make_info())
    killed.append(**part(rows, 0, 4))
    # no word to the first one: its process is gone
    assert FeatureWriter(tmp_path / 'a', make_info()).rows == 4


def test_an_exception_keeps_every_row(tmp_path: Path, make_info: MakeInfo, rows: Rows) -> None:
    with pytest.raises(KeyboardInterrupt), FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**part(rows, 0, 6))
        raise KeyboardInterrupt
    assert FeatureWriter(tmp_path / 'a', make_info()).rows == 6


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'source_hash': 'xyz', 'source': 'another'}, ['another source', 'another']),
        ({'video_key': 'xyz'}, ['another video']),
        ({'stride': 2}, ['stride was 1 and is now 2']),
        ({'image_size': (64, 48)}, ['image_size was (32, 48) and is now (64, 48)']),
        ({'precision': 'bf16'}, ["precision was 'fp32' and is now 'bf16'"]),
    ],
)
def test_an_unfinished_store_of_other_settings_is_refused_and_kept(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
    change: dict[str, object],
    words: list[str],
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**rows)
        writer.commit()
    with pytest.raises(BeastError) as error:
        FeatureWriter(tmp_path / 'a', make_info(**change))
    assert all(word in str(error.value) for word in words), error.value
    assert FeatureWriter(tmp_path / 'a', make_info()).rows == 10


def test_a_moved_video_or_source_is_no_difference(make_info: MakeInfo) -> None:
    moved = make_info(video='/elsewhere/a.mp4', source='/elsewhere/backbone', frames=7)
    assert store_difference(make_info(), moved) == ''


def test_a_finished_store_is_never_overwritten(
    tmp_path: Path,
    make_info: MakeInfo,
    save_store: SaveStore,
    rows: Rows,
) -> None:
    save_store(tmp_path / 'a', make_info(), **rows)
    with pytest.raises(BeastError, match='already exists'):
        FeatureWriter(tmp_path / 'a', make_info())


@pytest.mark.parametrize('damage', ['cls.npy', 'progress.json'])
def test_a_damaged_unfinished_store_is_written_anew(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
    damage: str,
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**rows)
        writer.commit()
    file = tmp_path / 'a.part' / damage
    file.write_bytes(file.read_bytes()[:-5])
    assert FeatureWriter(tmp_path / 'a', make_info()).rows == 0


def test_features_that_are_no_numbers_are_refused(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        rows['cls'][3, 1] = np.nan
        with pytest.raises(BeastError, match='not finite'):
            writer.append(**rows)
        rows['cls'][3, 1] = 0
        # beyond float16
        with pytest.raises(BeastError, match='not finite'):
            writer.append(**{**rows, 'patches': rows['patches'] + np.float32(1e6)})
        assert writer.rows == 0


def test_rows_of_another_shape_are_refused(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        with pytest.raises(ValueError, match='shape'):
            writer.append(**{**rows, 'cls': rows['cls'][:, :3]})
        with pytest.raises(ValueError, match='patches'):
            writer.append(**{k: v for k, v in rows.items() if k != 'patches'})
        with pytest.raises(ValueError, match='length'):
            writer.append(**{**rows, 'time': rows['time'][:4]})


def test_times_can_be_replaced_at_the_end(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**rows)
        writer.set_times(FrameTimes(np.arange(30) * 0.5, 30, 'frame rate'))
        writer.finish(30)
    store = FeatureStore.open(tmp_path / 'a')
    np.testing.assert_array_equal(store.time, rows['frame'] * 0.5)
    assert store.info.time_from == 'frame rate'


def test_what_is_no_store_gets_a_sentence(
    tmp_path: Path,
    make_info: MakeInfo,
    rows: Rows,
) -> None:
    with pytest.raises(BeastError, match='is no folder'):
        FeatureStore.open(tmp_path / 'a')
    with pytest.raises(BeastError, match='lacks info.json'):
        FeatureStore.open(tmp_path)
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**rows)
        with pytest.raises(BeastError, match='not complete'):
            FeatureStore.open(tmp_path / 'a')
        writer.finish(30)

    def copy() -> Path:
        shutil.rmtree(tmp_path / 'b', ignore_errors=True)
        return Path(shutil.copytree(tmp_path / 'a', tmp_path / 'b'))

    np.save(copy() / 'time.npy', rows['time'][:4])
    with pytest.raises(BeastError, match=r'time.npy has the shape \(4,\) instead of \(10,\)'):
        FeatureStore.open(tmp_path / 'b')
    np.save(copy() / 'cls.npy', rows['cls'].astype(np.float64))
    with pytest.raises(BeastError, match='float64 values where'):
        FeatureStore.open(tmp_path / 'b')
    (copy() / 'frame.npy').unlink()
    with pytest.raises(BeastError, match=r'frame.npy cannot be read'):
        FeatureStore.open(tmp_path / 'b')
    (copy() / 'cls.npy').write_bytes(b'')
    with pytest.raises(BeastError, match=r'cls.npy cannot be read'):
        FeatureStore.open(tmp_path / 'b')
    (copy() / 'info.json').write_text('{"format": 99}')
    with pytest.raises(BeastError, match='newer beast-lp'):
        FeatureStore.open(tmp_path / 'b')
    (copy() / 'info.json').write_text(json.dumps({'format': 1, 'dim': 4}))
    with pytest.raises(BeastError, match='does not describe features'):
        FeatureStore.open(tmp_path / 'b')


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('info.json', b'\xe9', 'info.json cannot be read .it is not text in UTF-8'),
        ('info.json', b'[' * 100_000, 'info.json does not describe features'),
        ('info.json', {'dim': 'four'}, "does not describe features .dim is 'four'"),
        ('info.json', {'dim': -1}, 'does not describe features .dim is -1'),
        ('info.json', {'frames': 1.5}, 'does not describe features .frames is 1.5'),
        ('info.json', {'fps': 'fast'}, "does not describe features .fps is 'fast'"),
        ('info.json', {'source_hash': None}, 'does not describe features .source_hash is None'),
        ('info.json', {'checksums': 3}, 'does not describe features .checksums is 3'),
        ('info.json', {'grid': 3}, 'does not describe features'),
        ('cls.npy', b'PK\x03\x04' + bytes(100), 'cls.npy cannot be read'),
        ('cls.npy', b'\x80\x04K\x01.', 'cls.npy cannot be read .it is no array of numbers'),
        ('time.npy', lambda file, **_: np.save(file, np.full(10, np.nan)), 'that are no numbers'),
        ('frame.npy', lambda file, **_: np.save(file, np.arange(10)[::-1]), 'do not ascend'),
        ('frame.npy', lambda file, **_: np.save(file, np.arange(-1, 9)), 'do not ascend'),
        ('cls.npy', np.savez, 'cls.npy is an archive of several arrays'),
    ],
)
def test_damaged_files_get_one_sentence(
    tmp_path: Path, make_info: MakeInfo, rows: Rows, name: str, content: Any, words: str
) -> None:
    with FeatureWriter(tmp_path / 'a', make_info()) as writer:
        writer.append(**rows)
        writer.finish(30)
    path = tmp_path / 'a' / name
    if isinstance(content, dict):
        path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open('wb') as file:
            content(file, a=np.ones(3), b=np.ones(3))
    with pytest.raises(BeastError, match=words) as error:
        FeatureStore.open(tmp_path / 'a')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['cls', 'frame', 'time', 'patches'])
def test_flipped_bytes_are_found(
    tmp_path: Path, make_info: MakeInfo, save_store: SaveStore, rows: Rows, name: str
) -> None:
    save_store(tmp_path / 'a', make_info(), **rows)
    read_store(tmp_path / 'a', 'patches')
    path = tmp_path / 'a' / f'{name}.npy'
    content = bytearray(path.read_bytes())
    # of a number that stays one
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(BeastError, match=f'{name}.npy is damaged: its bytes are not those'):
        read_store(tmp_path / 'a', 'patches')
    if name == 'patches':
        # nobody asked for them
        read_store(tmp_path / 'a', 'cls')


def test_a_store_of_an_older_version_has_no_checksums(
    tmp_path: Path, make_info: MakeInfo, save_store: SaveStore, rows: Rows
) -> None:
    save_store(tmp_path / 'a', make_info(), **rows)
    path = tmp_path / 'a' / 'info.json'
    info = json.loads(path.read_text())
    assert set(info.pop('checksums')) == {'cls', 'frame', 'time', 'patches'}
    path.write_text(json.dumps({**info, 'format': 1}))
    store = FeatureStore.open(tmp_path / 'a')
    assert store_difference(store.info, make_info()) == ''
    assert len(store) == 10


def test_folders_bear_the_names_of_the_videos(tmp_path: Path) -> None:
    videos = [Path('/x/one/mein Käfig.mp4'), Path('/x/two/cam.avi')]
    assert [d.name for d in store_directories(tmp_path, videos)] == ['mein Käfig', 'cam']
    videos = [Path('/x/one/cam.mp4'), Path('/x/two/Cam.avi')]
    assert [d.name for d in store_directories(tmp_path, videos)] == ['one_cam', 'two_Cam']


def test_stores_of_an_older_name_are_found(
    tmp_path: Path, make_info: MakeInfo, rows: Rows
) -> None:
    videos = [Path('/lab/p', name) for name in ('mouse 1.mp4', 'x.avi', 'x.mp4')]
    newer = [tmp_path / name for name in ('mouse 1', 'x_avi', 'x_mp4')]
    assert store_directories(tmp_path, videos) == newer
    # a finished store, an unfinished one, and one of another video
    with FeatureWriter(tmp_path / 'mouse_1', make_info(video='/moved/mouse 1.mp4')) as writer:
        writer.append(**rows)
        writer.finish(30)
    with FeatureWriter(tmp_path / 'lab_p_x', make_info(video='/lab/p/x.avi')) as writer:
        writer.append(**rows)
        writer.commit()
    with FeatureWriter(tmp_path / 'lab_p_x_2', make_info(video='/lab/p/x.mov')) as writer:
        writer.append(**rows)
        writer.finish(30)
    found = store_directories(tmp_path, videos)
    assert found == [tmp_path / 'mouse_1', tmp_path / 'lab_p_x', tmp_path / 'x_mp4']
