"""Tables of keypoints, good and odd."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.video.keypoint_table import KeypointTable, read_points

NAN = np.nan
GOOD = [
    'scorer,s,s,s,s,s,s',
    'bodyparts,nose,nose,nose,tail,tail,tail',
    'coords,x,y,visible,x,y,visible',
    'a.png,10.5,20,2,0,0,0',
    'b.png,11,21,1,5,6,2',
    'c.png,,,,7,8,2',
]
POSITIONS = [[[10.5, 20], [NAN, NAN]], [[NAN, NAN], [5, 6]], [[NAN, NAN], [7, 8]]]


def _read(path: Path) -> KeypointTable:
    return read_points(path, 'a table', 'give another')


def _check(path: Path) -> None:
    table = _read(path)
    assert table.rows.tolist() == ['a.png', 'b.png', 'c.png']
    assert table.keypoints == ('nose', 'tail')
    np.testing.assert_array_equal(table.positions, POSITIONS)


@pytest.mark.parametrize(
    ('write', 'encoding'),
    [
        (lambda text: text, 'utf-8'),
        (lambda text: text, 'utf-8-sig'),
        (lambda text: text.replace('\n', '\r\n'), 'utf-8'),
        (lambda text: text.replace(',', ';'), 'utf-8'),
        (lambda text: text.replace(',', '\t'), 'utf-8'),
        (lambda text: text.replace(',', ';').replace('.5', ',5'), 'utf-8'),
    ],
)
def test_only_visible_points_are_labelled_however_the_table_is_written(
    tmp_path: Path, write: Callable[[str], str], encoding: str
) -> None:
    text = write('\n'.join(GOOD) + '\n')
    (tmp_path / 'a.csv').write_bytes(text.encode(encoding))
    _check(tmp_path / 'a.csv')


def test_a_first_row_without_labels_is_a_row(tmp_path: Path) -> None:
    (tmp_path / 'a.csv').write_text('\n'.join([*GOOD[:3], 'z.png,,,,,,', *GOOD[3:]]))
    table = _read(tmp_path / 'a.csv')
    assert table.rows.tolist()[0] == 'z.png' and np.isnan(table.positions[0]).all()
    np.testing.assert_array_equal(table.positions[1:], POSITIONS)


def _changed(line: int, before: str, after: str) -> bytes:
    lines = [*GOOD]
    assert before in lines[line]
    lines[line] = lines[line].replace(before, after)
    return '\n'.join(lines).encode()


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (_changed(1, 'tail', 'nose'), 'two columns x for nose, of s; keep one'),
        (
            _changed(1, 'tail', 'nose').replace(b's,s,s,s,s,s', b's,s,s,t,t,t'),
            'two columns x for nose, of the scorers s and t; keep one',
        ),
        (_changed(2, 'x,y,visible,x,y', 'x,y,visible,x,z'), 'no column y for tail'),
        (_changed(1, 'tail,tail,tail', ',,'), 'column x without a bodypart'),
        (_changed(2, ',x,y,visible,x', ',x,y,visible'), 'differ in length .7, 7, 6 columns'),
        (_changed(2, 'x,y,visible,x,y', 'a,b,c,d,e'), 'no column x for tail'),
        (_changed(3, '10.5', 'left'), "'left' as x of nose in row 0, which is not a number"),
        (_changed(4, '21', 'inf'), "'inf' as y of nose in row 1"),
        (_changed(4, '21', 'True'), "'True' as y of nose in row 1"),
        (_changed(3, '10.5', '"10,5"'), "'10,5' as x of nose in row 0"),
        (_changed(4, '21,1', '21,3'), 'holds 3 as visible of nose in row 1'),
        (_changed(5, '7,8,2', '7,8,2,9'), 'cannot be read as a table .*; give another'),
        (_changed(3, 'a.png', 'é.png').decode().encode('latin-1'), 'not text in UTF-8'),
        ('\n'.join(GOOD).encode('utf-16'), 'not text in UTF-8, found the byte 0xff'),
        ('\n'.join(GOOD[:3]).encode(), 'no rows below its header'),
        ('\n'.join(GOOD[:2]).encode(), 'lacks the header rows'),
        (b'', 'lacks the header rows'),
        (bytes(range(128)) * 9, '.'),
        (None, 'cannot be read as a table .No such file'),
    ],
)
def test_odd_tables_get_one_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / 'odd.csv'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BeastError, match=words) as error:
        _read(path)
    assert '\n' not in str(error.value) and str(path) in str(error.value)
