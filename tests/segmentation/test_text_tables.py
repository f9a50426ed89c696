"""Encodings and separators of the tables that people write, for both readers of labels."""

import codecs
from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.boris import read_boris
from beast_lp.segmentation.boris_labels import Event
from beast_lp.segmentation.label_files import find_label_files
from beast_lp.segmentation.one_hot import read_one_hot

EVENTS = 'Behavior,Start,Stop,Comment\ngähnen,1,2,"à côté, 3 µm"\n'
ONE_HOT = 'frame,background,gähnen\n0,0,1\n1,1,0\n'


def _names(path: Path, text: str) -> list[str]:
    """Return the names of the classes in a table, by the reader that it is for."""
    if text.startswith('frame'):
        return list(read_one_hot(path).classes)
    events = read_boris(path, 'a')
    assert events == [Event(events[0].behavior, 1, 2)]
    return ['background', events[0].behavior]


@pytest.mark.parametrize('text', [EVENTS, ONE_HOT])
@pytest.mark.parametrize(
    ('encoding', 'mark'),
    [
        ('utf-8', b''),
        ('utf-8', codecs.BOM_UTF8),
        ('utf-16-le', codecs.BOM_UTF16_LE),
        ('utf-16-be', codecs.BOM_UTF16_BE),
        ('utf-32-le', codecs.BOM_UTF32_LE),
        ('cp1252', b''),
        ('latin-1', b''),
    ],
)
def test_every_encoding_that_is_certain_is_read(
    tmp_path: Path,
    text: str,
    encoding: str,
    mark: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / 'a.csv'
    for ends in ('\n', '\r\n', '\r'):
        path.write_bytes(mark + text.replace('\n', ends).encode(encoding))
        assert _names(path, text) == ['background', 'gähnen']
    assert find_label_files([Path('a.mp4')], path) == {Path('a.mp4'): path}
    assert ('not UTF-8 and is read as cp1252' in caplog.text) == (
        encoding in ('cp1252', 'latin-1')
    )


@pytest.mark.parametrize('text', [EVENTS, ONE_HOT])
@pytest.mark.parametrize(
    ('name', 'encoding'),
    [
        ('ходьба', 'cp1251'),
        ('歩く', 'shift-jis'),
        ('走路', 'gbk'),
        ('gähnen', 'mac-roman'),
        ('gähnen', 'cp437'),
        ('gähnen', 'utf-16-le'),
    ],
)
def test_an_encoding_that_is_not_certain_gets_a_sentence(
    tmp_path: Path,
    text: str,
    name: str,
    encoding: str,
) -> None:
    path = tmp_path / 'a.csv'
    path.write_bytes(text.replace('gähnen', name).replace('à côté, 3 µm', '').encode(encoding))
    for read in (
        lambda: _names(path, text),
        lambda: find_label_files([Path('a.mp4')], path),
    ):
        with pytest.raises(BeastError, match=r'a.csv cannot be read as text: .*UTF-8'):
            read()


@pytest.mark.parametrize('text', [EVENTS, ONE_HOT])
@pytest.mark.parametrize('separator', [';', '\t'])
def test_every_separator_is_read(tmp_path: Path, text: str, separator: str) -> None:
    path = tmp_path / 'a.csv'
    text = text.replace('"à côté, 3 µm"', '').replace(',', separator)
    path.write_text(text.replace('1', '1,0').replace('0\n1,0', '0\n1'), encoding='utf-8')
    assert _names(path, text.replace(separator, ',')) == ['background', 'gähnen']


@pytest.mark.parametrize('content', [b'', b'\0', b'\xff\xfe\0', b'\xff' * 99, b'PK\3\4\x8f\0'])
def test_what_is_no_text_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'a.csv'
    path.write_bytes(content)
    for read in (read_one_hot, lambda path: read_boris(path, 'a')):
        with pytest.raises(BeastError, match=r'a.csv (cannot be read|is no BORIS)'):
            read(path)


@pytest.mark.parametrize('comments', [('"a', 'b'), ('"a', 'b"'), ('"a" b', 'c')])
def test_a_quotation_mark_without_another_swallows_no_rows(
    tmp_path: Path,
    comments: tuple[str, str],
) -> None:
    path, (first, last) = tmp_path / 'a.csv', comments
    rows = f'walk,1,2,{first}\ngroom,3,4,x\nwalk,5,6,{last}\n'
    path.write_text(f'Behavior,Start,Stop,Comment\n{rows}')
    with pytest.raises(BeastError, match='look for a quotation mark without another'):
        read_boris(path, 'a')
    path.write_text(f'Behavior,Start,Stop,Comment\n{rows}'.replace('"', ''))
    assert len(read_boris(path, 'a')) == 3
