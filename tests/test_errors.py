"""What a person is told instead of a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from beast_lp.errors import BeastError, is_full_disk, sentence_of

NUMBERS = [
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    # and what has no words of its own
    errno.EIO,
    errno.EMFILE,
    errno.ESTALE,
    errno.ETXTBSY,
]


@pytest.mark.parametrize('number', NUMBERS, ids=[errno.errorcode[number] for number in NUMBERS])
@pytest.mark.parametrize('name', ['/data/vidéo.mp4', b'/data/vid\xc3\xa9o.mp4'])
def test_every_refusal_of_a_file_names_it_in_one_line(number: int, name: str | bytes) -> None:
    sentence = sentence_of(OSError(number, os.strerror(number), name))
    assert sentence is not None and '/data/vidéo.mp4' in sentence
    assert '\n' not in sentence and '; ' in sentence and not sentence.endswith('.')


def _loop(folder: Path) -> None:
    (folder / 'loop').symlink_to(folder / 'loop')
    (folder / 'loop').read_text()


def _resolved_loop(folder: Path) -> None:
    (folder / 'loop').symlink_to(folder / 'loop')
    (folder / 'loop').resolve()


def _full(folder: Path) -> None:
    with Path('/dev/full').open('w') as file:
        file.write('x')


@pytest.mark.parametrize(
    ('fail', 'words'),
    [
        (lambda folder: (folder / 'gone').read_text(), 'gone does not exist; check'),
        (lambda folder: (folder / 'file' / 'x').read_text(), 'a part of its path is a file'),
        (lambda folder: list((folder / 'file').iterdir()), 'a part of its path is a file'),
        (lambda folder: folder.read_text(), 'is a folder where a file is needed'),
        (lambda folder: (folder / 'file').mkdir(exist_ok=True), 'file is in the way of something'),
        (lambda folder: (folder / 'full').rmdir(), 'is a folder that is not empty'),
        (_loop, 'loop cannot be used, because its path leads through links in a circle'),
        (lambda folder: (folder / ('x' * 300)).touch(), 'a name that is too long'),
        (lambda folder: (folder / 'a\0b').read_text(), 'holds a NUL character'),
        pytest.param(
            _resolved_loop,
            'leads through links in a circle',
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason='it leaves such links'),
        ),
        (lambda folder: Path('~nobody-of-that-name').expanduser(), 'the name of a user'),
        (lambda folder: torch.empty(2**50), 'the memory of this machine does not suffice'),
        (lambda folder: np.empty(2**50), 'the memory of this machine does not suffice'),
        pytest.param(
            _full,
            'the disk that holds the results is full; free some space',
            marks=pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full'),
        ),
    ],
)
def test_what_the_system_really_says_becomes_a_sentence(
    fail: Callable[[Path], object],
    words: str,
    tmp_path: Path,
) -> None:
    (tmp_path / 'file').touch()
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'file').touch()
    with pytest.raises((OSError, ValueError, RuntimeError, MemoryError)) as caught:
        fail(tmp_path)
    sentence = sentence_of(caught.value)
    assert sentence is not None and words in sentence


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'subject: caf\xe9\n', "byte 0xe9 after 'subject: caf'; save it as UTF-8"),
        ('é'.encode('utf-16'), "byte 0xff after ''; save it as UTF-8"),
    ],
)
def test_a_text_that_is_not_utf_8_is_shown_where_it_is_not(
    content: bytes,
    words: str,
    tmp_path: Path,
) -> None:
    (tmp_path / 'labels.csv').write_bytes(content)
    with pytest.raises(UnicodeDecodeError) as caught:
        (tmp_path / 'labels.csv').read_text(encoding='utf-8')
    sentence = sentence_of(caught.value)
    assert sentence is not None and words in sentence and 'UTF-8' in sentence


def _raised_while_handling(inner: Exception, outer: Exception) -> Exception:
    try:
        try:
            raise inner
        except type(inner):
            raise outer  # noqa: B904
    except type(outer) as error:
        return error


@pytest.mark.parametrize(
    'error',
    [
        _raised_while_handling(
            OSError(errno.ENOSPC, 'No space left on device'),
            RuntimeError('[enforce fail at inline_container.cc:671] . unexpected pos 704 vs 598'),
        ),
        RuntimeError('I/O error: No space left on device (os error 28)'),
        RuntimeError("Can't decrement id ref count (errno = 28, 'No space left on device')"),
        OSError('400000 requested and 102368 written'),
        OSError(errno.EDQUOT, 'Disk quota exceeded'),
    ],
    ids=['torch', 'safetensors', 'h5py', 'numpy', 'quota'],
)
def test_a_full_disk_is_known_in_the_words_of_every_library(error: Exception) -> None:
    assert is_full_disk(error)
    assert 'is full; free some space' in str(sentence_of(error))


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('unable to allocate shared memory(shm): No space left on device (28)'),
        OSError(errno.EIO, 'No space left on device?'),
        RuntimeError('unexpected pos 704 vs 598'),
    ],
)
def test_what_is_no_full_disk_is_not_called_one(error: Exception) -> None:
    assert not is_full_disk(error)


def test_a_circle_of_links_that_pathlib_finds_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    with pytest.raises((RuntimeError, OSError)) as caught:
        (tmp_path / 'loop').resolve(strict=True)
    sentence = sentence_of(caught.value)
    assert sentence is not None and 'loop cannot be used, because its path leads' in sentence


def test_a_sentence_of_ours_stays_as_it_is() -> None:
    assert sentence_of(BeastError('the sentence')) == 'the sentence'


@pytest.mark.parametrize(
    'error',
    [
        ValueError('operands could not be broadcast'),
        RuntimeError('x'),
        # of a network, and of a library that calls its own errors so
        ConnectionResetError(errno.ECONNRESET, 'Connection reset by peer'),
        OSError('we could not connect'),
        BrokenPipeError(errno.EPIPE, 'Broken pipe'),
    ],
)
def test_what_a_user_cannot_mend_has_no_sentence(error: Exception) -> None:
    assert sentence_of(error) is None
