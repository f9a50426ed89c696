"""Names and paths that users write."""

from pathlib import Path

import pytest

from beast_lp.runs.names import name_of, split_name, split_paths


def test_the_end_of_a_folder_is_no_suffix(tmp_path: Path) -> None:
    for name in ('mouse1_2024.05.01', 'weight_0.01', 'a.mp4'):
        folder = tmp_path / name
        folder.mkdir()
        assert name_of(folder) == name
    (tmp_path / 'mouse1_2024.05.01.npz').touch()
    assert name_of(tmp_path / 'mouse1_2024.05.01.npz') == 'mouse1_2024.05.01'


def test_a_path_that_exists_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert split_name('rate=30') == ('rate', '30')
    assert split_name('name=a=b') == ('name', 'a=b')
    assert split_paths('left,right,') == ['left', 'right', '']
    for folder in ('rate=30', 'a,b', 'x,y,z'):
        Path(folder).mkdir()
    assert split_name('rate=30') == (None, 'rate=30')
    assert split_name(f'{tmp_path}/rate=30') == (None, f'{tmp_path}/rate=30')
    assert split_name(f'name={tmp_path}/rate=30') == ('name', f'{tmp_path}/rate=30')
    assert split_paths('a,b') == ['a,b']
    assert split_paths('left,a,b,x,y,z,x,y') == ['left', 'a,b', 'x,y,z', 'x', 'y']


@pytest.mark.parametrize('odd', ['a' * 5000, 'nul\0', '~nobody_of_this_name/x'])
def test_what_cannot_be_a_path_is_none(odd: str) -> None:
    assert split_name(f'n={odd}') == ('n', odd)
    assert split_paths(f'{odd},b') == [odd, 'b']
