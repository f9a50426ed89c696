"""Columns of numbers and times, good and odd."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.encoding.activity import Binned
from beast_lp.encoding.number_files import read_numbers, read_times
from beast_lp.encoding.rows import frame_times
from beast_lp.errors import BeastError
from beast_lp.features.frames import FrameFeatures

DAY = '2026-01-01'
DATES = [f'{DAY}T23:59:59.5', f'{DAY}T23:59:59.75', '2026-01-02T00:00:00']
NAN = np.nan


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('0.1\n0.2\n', [0.1, 0.2]),
        ('time\n0.1\n0.2\n', [0.1, 0.2]),
        ('# time\n0.1\n0.2\n', [0.1, 0.2]),
        ('\ufefftime\r\n0.1\r\n0.2\r\n', [0.1, 0.2]),
        ('0.1,0.2,0.3', [0.1, 0.2, 0.3]),
        # a missing first value is no header
        ('nan\n0.1\n0.2\n', [NAN, 0.1, 0.2]),
        ('""\n0.1\n0.2\n', [NAN, 0.1, 0.2]),
        ('\n0.1\n0.2\n', [NAN, 0.1, 0.2]),
        ('time\nNaN\n0.1\n', [NAN, 0.1]),
        # a missing value in between does not move those below
        ('0.1\n\n0.3\n', [0.1, NAN, 0.3]),
        ('0.1\nn/a\n0.3\n\n\n', [0.1, NAN, 0.3]),
        ('time\n0,1\n0,25\n', [0.1, 0.25]),
        ('time;\n0,1;\n0,25;\n', None),
        ('0,1;0,25', [0.1, 0.25]),
    ],
)
def test_numbers_of_a_text(tmp_path: Path, text: str, expected: list[float] | None) -> None:
    path = tmp_path / 'a.csv'
    path.write_text(text, encoding='utf-8', newline='')
    if expected is None:
        with pytest.raises(BeastError, match='one column of events, found 2 columns'):
            read_numbers(path, 'events')
    else:
        np.testing.assert_array_equal(read_numbers(path, 'events'), expected)
        seconds, dated = read_times(path, 'events')
        np.testing.assert_array_equal(seconds, expected)
        assert not dated


@pytest.mark.parametrize(
    'write',
    [
        lambda path: path.write_text('\n'.join(DATES)),
        lambda path: path.write_text('\n'.join(['time', *DATES])),
        lambda path: path.write_text('\n'.join(date.replace('T', ' ') + 'Z' for date in DATES)),
        # an hour earlier by its clock, the same moment
        lambda path: path.write_text(
            '\n'.join([f'{DATES[0]}+00:00', f'{DAY}T22:59:59.75-01:00', f'{DATES[2]}Z'])
        ),
        lambda path: np.save(path.open('wb'), np.array(DATES)),
        lambda path: np.save(path.open('wb'), np.array(DATES, 'datetime64[ms]')),
    ],
)
def test_dates_are_seconds_since_the_first(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / 'a.csv'
    write(path)
    if path.read_bytes()[:1] == b'\x93':
        path = path.rename(tmp_path / 'a.npy')
    seconds, dated = read_times(path, 'camera times')
    np.testing.assert_allclose(seconds, [0, 0.25, 0.5], rtol=0, atol=1e-9)
    assert dated
    with pytest.raises(BeastError, match='events in .* are dates and not seconds; subtract'):
        read_numbers(path, 'events')


def test_a_missing_date_is_missing(tmp_path: Path) -> None:
    (tmp_path / 'a.csv').write_text('\n'.join(['', DATES[0], 'NaT', DATES[2]]))
    seconds, _ = read_times(tmp_path / 'a.csv', 'camera times')
    np.testing.assert_allclose(seconds, [NAN, 0, NAN, 0.5])


def test_spans_are_seconds(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.array([0, 40], 'timedelta64[ms]'))
    np.testing.assert_allclose(read_numbers(tmp_path / 'a.npy', 'events'), [0, 0.04])


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'cannot be read as events .it is empty'),
        (b'0.1\nearly\n0.3\n', "holds 'early' in row 2, which is no number"),
        (b'time\n0.1\nearly\n', "holds 'early' in row 3"),
        (b'time\n', "holds 'time' in row 1"),
        (b'a\nb\n', "holds 'b' in row 2"),
        (b'"0,033"\n"0,066"\n', 'one column of events, found 2 columns|no number'),
        (b'0,033\n0,066\n', '2 columns; write decimals with a point, if its commas'),
        (b'0,1\n1,5\n2,9\n', 'one column of events, found 2 columns'),
        (b'frame,time\n0,1.5\n', 'found 2 columns$'),
        (b'1\n2,3\n', 'found 2 columns'),
        ('zeit\u00e4\n0.1'.encode('latin-1'), 'not text in UTF-8, found the byte 0xe4'),
        ('0.1\n0.2'.encode('utf-16'), 'not text in UTF-8'),
    ],
)
def test_odd_text_gets_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / 'a.csv'
    path.write_bytes(content)
    for read in (read_numbers, read_times):
        with pytest.raises(BeastError, match=words) as error:
            read(path, 'events')
        assert '\n' not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(
    ('array', 'words'),
    [
        (np.ones((3, 2)), r'one column of events, found an array of \(3, 2\)'),
        (np.ones(()), r'found an array of \(\)'),
        (np.ones(0), r'found an array of \(0,\)'),
        (np.ones(3) + 1j, 'values of type complex128'),
        (np.ones(3, [('a', float)]), 'values of type'),
        (np.array(['a', 'b']), "holds 'b' in row 2"),
        (np.array([None, 1]), 'it is no array of numbers or text'),
    ],
)
def test_odd_arrays_get_one_sentence(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / 'a.npy', array)
    with pytest.raises(BeastError, match=words) as error:
        read_numbers(tmp_path / 'a.npy', 'events')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('offset', [0.0, 2.0])
def test_dates_of_the_camera_are_noted(tmp_path: Path, offset: float) -> None:
    path = tmp_path / 'camera.csv'
    path.write_text('\n'.join(DATES))
    features = FrameFeatures(np.ones((3, 1)), np.arange(3), None, 3, None, 1, 's', 'm', 'c')
    counts = Binned(
        path, np.ones((3, 1)), np.arange(3.0), 1.0, np.array(['a']), np.array(['']), True
    )
    times, note = frame_times('s', counts, [features], path, offset)
    np.testing.assert_allclose(times, np.array([0, 0.25, 0.5]) + offset)
    # an offset shows that the two clocks are known
    assert ('holds dates, which were counted from the first one' in note) == (offset == 0)
