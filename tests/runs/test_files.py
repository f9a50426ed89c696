"""Files and folders that appear complete or not at all, and one writer at a time."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock, SoftFileLock

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file, finished_folder, only_writer, part_of, write_table


def test_a_file_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / 'table.csv'
    path.write_text('old')
    with pytest.raises(RuntimeError), finished_file(path) as part:
        part.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    with finished_file(path) as part:
        part.write_text('new')
        assert path.read_text() == 'old'
    assert [item.name for item in tmp_path.iterdir()] == ['table.csv']
    assert path.read_text() == 'new'


def test_nothing_is_written_through_a_link_or_over_what_a_killed_run_left(tmp_path: Path) -> None:
    victim, path = tmp_path / 'victim', tmp_path / 'table.csv'
    victim.write_text('precious')
    part_of(path).symlink_to(victim)
    with finished_file(path) as part:
        assert part.read_text() == '' and not part.is_symlink()
        part.write_text('new')
    assert (victim.read_text(), path.read_text()) == ('precious', 'new')
    part_of(path).write_text('of a killed run, and longer')
    with finished_file(path) as part, part.open('r+') as file:
        file.write('short')
    assert path.read_text() == 'short'


def test_other_problems_of_the_system_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), finished_file(tmp_path / 'gone' / 'table.csv') as part:
        part.write_text('x')


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(number: int, tmp_path: Path) -> None:
    def fill() -> None:
        raise OSError(number, os.strerror(number))

    with (
        pytest.raises(BeastError, match='is full; free some space'),
        finished_file(tmp_path / 'a'),
    ):
        fill()
    with (
        pytest.raises(BeastError, match=f'holds {tmp_path} is full'),
        finished_folder(tmp_path / 'b'),
    ):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'folder'
    with pytest.raises(RuntimeError), finished_folder(path) as part:
        (part / 'file').write_text('half')
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with finished_folder(path) as part:
        (part / 'file').write_text('whole')
        assert not path.exists()
    assert [item.name for item in path.parent.iterdir()] == ['folder']
    assert (path / 'file').read_text() == 'whole'


def test_a_folder_takes_the_place_of_an_empty_one_alone(tmp_path: Path) -> None:
    path = tmp_path / 'folder'
    path.mkdir()
    # what a killed run left is no part of the result
    part_of(path).mkdir()
    (part_of(path) / 'stale').touch()
    with finished_folder(path) as part:
        (part / 'file').touch()
    assert [item.name for item in path.iterdir()] == ['file']
    with pytest.raises(OSError, match='not empty'), finished_folder(path) as part:
        (part / 'other').touch()
    assert [item.name for item in path.iterdir()] == ['file']
    assert [item.name for item in tmp_path.iterdir()] == ['folder']


def test_no_folder_is_filled_through_a_link(tmp_path: Path) -> None:
    victim, path = tmp_path / 'victim', tmp_path / 'folder'
    victim.mkdir()
    (victim / 'precious').touch()
    part_of(path).symlink_to(victim)
    with finished_folder(path) as part:
        (part / 'file').touch()
    assert [item.name for item in victim.iterdir()] == ['precious']
    assert not path.is_symlink() and [item.name for item in path.iterdir()] == ['file']


def test_a_table_is_written_as_csv(tmp_path: Path) -> None:
    table = pd.DataFrame({'name': ['a', 'b'], 'rate': [1 / 3, float('nan')]})
    write_table(table, tmp_path / 'plain.csv')
    assert (tmp_path / 'plain.csv').read_text() == f'name,rate\na,{1 / 3}\nb,\n'
    write_table(table, tmp_path / 'other.csv', index=True, decimals='%.2f', missing='nan')
    assert (tmp_path / 'other.csv').read_text() == ',name,rate\n0,a,0.33\n1,b,nan\n'


@pytest.mark.skipif(FileLock is SoftFileLock, reason='this system has no locks that end')
def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    hold = (
        'import sys, time\nfrom pathlib import Path\nfrom beast_lp.runs.files import only_writer\n'
        'with only_writer(Path(sys.argv[1]), "it"):\n    print("held", flush=True)\n'
        '    time.sleep(60)\n'
    )
    lock = tmp_path / '.lock'
    with subprocess.Popen(
        [sys.executable, '-c', hold, str(lock)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == 'held\n'
        with (
            pytest.raises(BeastError, match='is writing it at this moment'),
            only_writer(lock, 'it'),
        ):
            pytest.fail('two writers')
        other.kill()
    with only_writer(lock, 'it'):
        pass
