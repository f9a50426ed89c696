"""The guide for developers names rooms and files that exist."""

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
