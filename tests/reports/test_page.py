"""Tests of the HTML page."""

import base64
import errno
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.reports.page import (
    MAX_TABLE_ROWS,
    Section,
    draw_png,
    write_page,
    write_report,
)

VOID = {'meta', 'img', 'wbr', 'link', 'input', 'hr'}


class Reader(HTMLParser):
    """Checks that tags are nested and collects what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
            self.texts.setdefault(tag, []).append('')

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack:
            self.texts[self.stack[-1]][-1] += data


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding='utf-8'))


def line_figure() -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2, 4])
    return figure


def test_page_holds_everything_in_order(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'report.html'
    table = pd.DataFrame({'video': ['ä.mp4', 'b.mp4'], 'frames': [120000.0, np.nan]})
    sections = [
        Section('Curves', 'First paragraph.\n\nSecond one.', figures={'line': line_figure()}),
        Section('Videos', table=table, marked_rows=frozenset({1})),
        Section('Only words', 'Words.'),
    ]
    write_page(path, 'A title', sections)
    reader = read(path)
    assert reader.texts['title'] == reader.texts['h1'] == ['A title']
    assert reader.texts['h2'] == reader.texts['a'] == ['Curves', 'Videos', 'Only words']
    assert reader.texts['p'] == ['First paragraph.', 'Second one.', 'Words.']
    assert reader.texts['th'] == ['video', 'frames']
    assert reader.texts['td'] == ['ä.mp4', '120000', 'b.mp4', '–']
    rows = [attributes.get('class') for tag, attributes in reader.tags if tag == 'tr']
    assert rows == [None, None, 'marked']
    targets = {attributes['href'] for tag, attributes in reader.tags if tag == 'a'}
    parts = {f'#{attributes["id"]}' for tag, attributes in reader.tags if tag == 'section'}
    assert targets == parts and len(parts) == 3


def test_links_lead_to_files_whatever_they_are_called(tmp_path: Path) -> None:
    path = tmp_path / 'index.html'
    links = {'of the fly': 'mein Käfig/a#b.html', 'of <it>': 'sub/"c".mp4'}
    write_page(path, 'Title', [Section('Reports', 'Words.', links=links)])
    reader = read(path)
    assert reader.texts['a'] == ['Reports', *links]
    targets = [str(attributes['href']) for tag, attributes in reader.tags if tag == 'a']
    assert [unquote(target) for target in targets[1:]] == list(links.values())
    assert not any('#' in target for target in targets[1:])


def test_figure_is_inside_the_page(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    write_page(path, 'Title', [Section('Curves', figures={'line': line_figure()})])
    ((_, attributes),) = [entry for entry in read(path).tags if entry[0] == 'img']
    kind, content = str(attributes['src']).split(',')
    assert kind == 'data:image/png;base64'
    assert attributes['alt'] == 'Curves'
    inside = Image.open(io.BytesIO(base64.b64decode(content)))
    np.testing.assert_array_equal(inside, Image.open(io.BytesIO(draw_png(line_figure()))))
    # self-contained: nothing is fetched
    assert 'http' not in path.read_text() and 'url(' not in path.read_text()


def test_photographs_are_inside_the_page_as_webp_and_beside_it_as_png(tmp_path: Path) -> None:
    photo, heat_map = Figure(figsize=(1, 1), dpi=120), Figure(figsize=(1, 1), dpi=120)
    draw = np.random.default_rng(0)
    photo.subplots().imshow(draw.integers(0, 256, (64, 64, 3), np.uint8))
    heat_map.subplots().imshow(draw.random((8, 8)))
    path = tmp_path / 'report.html'
    figures = {'photo': photo, 'heat_map': heat_map}
    write_page(path, 'Title', [Section('Pictures', figures=figures)], tmp_path / 'figures')
    sources = [str(attributes['src']) for tag, attributes in read(path).tags if tag == 'img']
    kinds, contents = zip(*(source.split(',') for source in sources), strict=True)
    assert kinds == ('data:image/webp;base64', 'data:image/png;base64')
    inside = Image.open(io.BytesIO(base64.b64decode(contents[0]))).convert('RGB')
    beside = Image.open(tmp_path / 'figures' / 'photo.png').convert('RGB')
    assert inside.size == beside.size
    difference = np.asarray(inside).astype(int) - np.asarray(beside)
    assert np.abs(difference).mean() < 25


def test_all_text_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    evil = '<script>alert("1")</script> & \'co\'.mp4'
    sections = [
        Section(evil, evil, figures={'line': line_figure()}, table=pd.DataFrame({evil: [evil]}))
    ]
    write_page(path, evil, sections)
    reader = read(path)
    assert 'script' not in [tag for tag, _ in reader.tags]
    for tag in ('title', 'h1', 'h2', 'a', 'p', 'th', 'td'):
        assert reader.texts[tag] == [evil]
    assert [attributes['alt'] for tag, attributes in reader.tags if tag == 'img'] == [evil]


def test_undecodable_file_name_does_not_stop_the_page(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    write_page(path, 'Title', [Section('Videos', 'name \udcff.mp4')])
    assert read(path).texts['p'] == [r'name \udcff.mp4']


def test_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    rows = MAX_TABLE_ROWS
    for count, note in ((rows, None), (rows + 37, '37 more rows are not shown here.')):
        write_page(path, 'Title', [Section('T', table=pd.DataFrame({'n': range(count)}))])
        reader = read(path)
        assert reader.texts['td'] == [str(number) for number in range(rows)]
        assert reader.texts.get('p', [None]) == [note]


def test_cells_are_written_plainly(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    values = [29.470029, 1234567.0, np.int64(3), None, pd.NA, float('inf'), -5e-5, 1234.56]
    expected = ['29.5', '1234567', '3', '–', '–', 'inf', '-5e-05', '1235']
    for extra, kind in (([], 'number'), ([True, 'x'], None)):
        table = pd.DataFrame({'value': pd.Series([*values, *extra], dtype=object)})
        write_page(path, 'Title', [Section('T', table=table)])
        reader = read(path)
        assert reader.texts['td'] == [*expected, *map(str, extra)]
        cells = [attributes for tag, attributes in reader.tags if tag in ('th', 'td')]
        assert {attributes.get('class') for attributes in cells} == {kind}


def test_lines_break_in_names_only_after_slashes_and_underscores(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    table = pd.DataFrame({'long_name': ['a/b_c <d>']})
    write_page(path, 'Title', [Section('T', table=table)])
    page = path.read_text()
    assert '<th>long_<wbr>name</th>' in page
    assert '<td>a/<wbr>b_<wbr>c &lt;d&gt;</td>' in page
    assert 'anywhere' not in page


def test_the_page_follows_the_reader_s_dark_mode(tmp_path: Path) -> None:
    path = tmp_path / 'report.html'
    write_page(path, 'Title', [Section('T', 'Words.')])
    style = path.read_text().split('<style>')[1].split('</style>')[0]
    light, dark = style.split('@media (prefers-color-scheme: dark)')
    names = set(re.findall(r'--(\w+):', light))
    assert names == set(re.findall(r'--(\w+):', dark)) == set(re.findall(r'var\(--(\w+)', style))


def test_a_report_has_its_figures_as_files(tmp_path: Path) -> None:
    sections = [Section('Two', figures={'one': line_figure(), 'other': line_figure()})]
    page = write_report(tmp_path, 'Title', sections)
    assert page == tmp_path / 'report.html'
    pictures = [attributes['src'] for tag, attributes in read(page).tags if tag == 'img']
    for name, picture in zip(('one', 'other'), pictures, strict=True):
        inside = base64.b64decode(str(picture).split(',')[1])
        assert (tmp_path / 'figures' / f'{name}.png').read_bytes() == inside


def test_a_picture_has_the_size_asked_for() -> None:
    assert Image.open(io.BytesIO(draw_png(line_figure(), dpi=50))).size == (150, 100)


def fail(*_: object, **__: object) -> None:
    raise OSError('disk full')


@pytest.mark.parametrize('step', ['draw', 'write', 'replace'])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / 'report.html'
    path.write_bytes(b'old')
    figure = line_figure()

    def write_half(self: Path, content: bytes) -> None:
        with self.open('wb') as file:
            file.write(content[: len(content) // 2])
        fail()

    if step == 'draw':
        monkeypatch.setattr(figure, 'draw', fail)
    elif step == 'write':
        monkeypatch.setattr(Path, 'write_bytes', write_half)
    else:
        monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_page(path, 'Title', [Section('Curves', figures={'line': figure})])
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(BeastError, match='is full; free some space'):
        write_report(tmp_path, 'Title', [Section('Curves', figures={'line': line_figure()})])
