"""The guide for developers names rooms and files that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'beast_lp' / 'guides' / 'developing.md').read_text(encoding='utf-8')


def test_the_table_of_rooms_is_complete() -> None:
    rows = re.findall(r'^\| (`.*?) \|', TEXT, re.MULTILINE)
    rooms = {name for row in rows for name in re.findall(r'`(.*?)`', row)}
    folders = {path.parent.name for path in ROOT.glob('beast_lp/*/__init__.py')}
    files = {path.name for path in ROOT.glob('beast_lp/*.py') if path.name[0] != '_'}
    assert rooms == folders | files


def test_the_files_exist() -> None:
    found = 0
    for path in re.findall(r'`((?:[\w.]+/)+[\w.]*)`', TEXT):
        if path.startswith(('..', 'dist/')):
            continue
        inside = [ROOT, ROOT / 'beast_lp', ROOT / 'beast_lp' / 'host', ROOT / 'integration_tests']
        name = path.replace('/X.py', '/pretrain.py')
        assert any((folder / name).exists() for folder in inside), path
        found += 1
    assert found > 10


def test_the_site_shows_the_docstrings_of_every_room_and_every_guide() -> None:
    site = ROOT / 'beast_lp' / 'guides' / 'site'
    rooms = {path.parent.name for path in ROOT.glob('beast_lp/*/__init__.py')}
    assert {path.stem for path in site.glob('*.md')} == rooms
    for room in rooms:
        assert f'::: beast_lp.{room}\n' in (site / f'{room}.md').read_text(encoding='utf-8')
    nav = (site / 'mkdocs.yml').read_text(encoding='utf-8').partition('\nnav:')[2]
    listed = re.findall(r'- (?:Guides: )?([\w/]+\.md)', nav)
    pages = {path.relative_to(site.parent).as_posix() for path in site.parent.rglob('*.md')}
    assert sorted(listed) == sorted(pages)


def test_the_index_links_every_guide() -> None:
    guides = ROOT / 'beast_lp' / 'guides'
    linked = re.findall(r'\]\((\w+\.\w+)\)', (guides / 'index.md').read_text(encoding='utf-8'))
    pages = {path.name for path in [*guides.glob('*.md'), *guides.glob('*.ipynb')]}
    assert sorted(linked) == sorted(pages - {'index.md'})


def test_the_readme_cites_this_version_and_the_paper() -> None:
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    metadata = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    versions = re.findall(r"^ *version += [{'](.*?)[}']", readme + metadata, re.MULTILINE)
    assert len(versions) == 2 and len({*versions}) == 1
    assert re.findall(r'arXiv:([\d.]+)', readme) == re.findall(r'arxiv.org/abs/([\d.]+)', metadata)


def test_doctests_stand_under_their_heading() -> None:
    for path in sorted((ROOT / 'beast_lp').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                continue
            before, doctest, _ = (ast.get_docstring(node) or '').partition('>>>')
            assert not doctest or re.search(r'^Examples?:$', before, re.MULTILINE), (path, node)
