"""One-hot tables, and what is refused of them."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.classes import UNSCORED
from beast_lp.segmentation.labelling import INDEPENDENT
from beast_lp.segmentation.one_hot import check_length, read_one_hot


def _write(directory: Path, text: str) -> Path:
    path = directory / 'labels.csv'
    path.write_text(text, encoding='utf-8')
    return path


def test_one_hot_with_frames_that_nobody_scored(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        ',background,walk,groom\n0,0,1,0\n1,1,0,0\n2,0,0,0\n3,-1,-1,-1\n4,,,\n5,0,0,1.0\n',
    )
    labels = read_one_hot(path)
    assert labels.classes == ('background', 'walk', 'groom')
    assert labels.target.tolist() == [1, 0, UNSCORED, UNSCORED, UNSCORED, 2]


def test_one_hot_as_other_programs_write_it(tmp_path: Path) -> None:
    for text in (
        ',background, walk \n0,False,True\n1,True,False\n',
        ';background;walk;\n0;0,0;1,0;\n1;1,0;0,0;\n',
        '\n,background,walk\r\n0.0,0.0,1.0\r\n\r\n1.0,1.0,0.0\r\n',
    ):
        labels = read_one_hot(_write(tmp_path, text))
        assert labels.classes == ('background', 'walk')
        assert labels.target.tolist() == [1, 0]


@pytest.mark.parametrize('separator', ['\t', ';'])
def test_one_hot_with_another_separator(tmp_path: Path, separator: str) -> None:
    text = '\ufeff,background,walk,groom\n0,0,1,0\n1,1,0,0\n'
    labels = read_one_hot(_write(tmp_path, text.replace(',', separator)))
    assert labels.classes == ('background', 'walk', 'groom')
    assert labels.target.tolist() == [1, 0]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            ',background,walk,groom\n0,0,1,1\n1,1,0,0\n',
            ['frame 0', 'two labels', 'walk and groom'],
        ),
        (',walk,background\n0,0,1\n', ['background must be the first column']),
        (',background,walk\n0,0,2\n', ['frame 0', 'expected 0 or 1', '2.0']),
        (',background,walk\n0,0,1\n2,1,0\n', ['count the frames', '[0, 2]']),
        (',background,walk\n0,0,x\n', ['cannot be read as a one-hot table']),
        ('\n', ['cannot be read as a one-hot table']),
        ('a\n0\n', ['index column only']),
        (',background,walk,walk\n0,0,1,0\n', ['two columns named walk']),
        (',background,walk, walk \n0,0,1,0\n', ['two columns named walk']),
        # labels of two scorers, side by side and below each other
        ('s,anna,anna,ben,ben\nb,background,walk,background,walk\n', ['two columns named anna']),
        (',background,walk,background,walk\n0,0,1,1,0\n', ['background must be the first']),
        (',background,walk\n0,0,1\n1,1,0\n0,1,0\n1,1,0\n', ['does not count the frames']),
        (',background,walk\n0,0,1,1\n', ['3 columns, but a row of 4 cells']),
        (';background;walk\n0;0,0;1.0\n', ['with a point (1.0) and with a comma (0,0)']),
        (',background,walk\n0,0,"1,0"\n', ["it holds '1,0'"]),
    ],
)
def test_a_bad_one_hot_table_gets_a_sentence(
    tmp_path: Path,
    text: str,
    words: list[str],
) -> None:
    with pytest.raises(BeastError) as error:
        read_one_hot(_write(tmp_path, text))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(('rows', 'word'), [(9, 'shorter'), (11, 'longer')])
def test_labels_of_another_length_get_a_sentence(rows: int, word: str) -> None:
    with pytest.raises(BeastError, match=f'{word} than its video: {rows} rows, but'):
        check_length(rows, 10, Path('a.csv'), Path('a.mp4'))
    check_length(10, 10, Path('a.csv'), Path('a.mp4'))


@pytest.mark.parametrize(
    ('header', 'rows', 'wanted'),
    [
        # a row of 0 is a frame without a behaviour; empty and -1 rows are not scored
        (',walk,groom', ['0,1,1', '1,0,1', '2,0,0', '3,,', '4,-1,-1'], [3, 2, 0, -1, -1]),
        # where background says so, a row of 0 is one that nobody looked at
        (',background,walk,groom', ['0,0,1,1', '1,1,0,0', '2,0,0,0'], [6, 1, -1]),
    ],
)
def test_several_labels_on_one_frame(
    tmp_path: Path, header: str, rows: list[str], wanted: list[int]
) -> None:
    path = tmp_path / 'a.csv'
    path.write_text('\n'.join([header, *rows]))
    assert read_one_hot(path, INDEPENDENT).target.tolist() == wanted


def test_background_beside_a_behaviour_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / 'a.csv'
    path.write_text(',background,walk\n0,0,1\n1,1,1\n')
    with pytest.raises(BeastError, match=r'frame 1: .*background and walk.*no behaviour is shown'):
        read_one_hot(path, INDEPENDENT)
