"""Event tables of BORIS, and what is refused of them."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.boris import Event, events_to_labels, read_boris

TABULAR = """\
Observation id\tObservation date\tMedia file name\tSubject\tBehavior\tBehavior type\tTime
o1\t2026-01-01\tvideos/mouse 1.mp4\ta\tgroom\tSTART\t0.2
o1\t2026-01-01\tvideos/mouse 1.mp4\ta\tgroom\tSTOP\t0.6
o1\t2026-01-01\tvideos/mouse 1.mp4\ta\tjump\tPOINT\t0.71
o2\t2026-01-01\tvideos/mouse 2.mp4\ta\twalk\tSTART\t0
o2\t2026-01-01\tvideos/mouse 2.mp4\ta\twalk\tSTOP\t1
"""
# the tabular export of older versions begins with notes
OLD = """\
Observation id,o1

Player #1,mouse 1.mp4
Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status
0.2,C:\\lab\\mouse 1.mp4,1,10,a,groom,,,START
0.6,C:\\lab\\mouse 1.mp4,1,10,a,groom,,,STOP
"""
AGGREGATED = """\
Observation id,Media file,Subject,Behavior,Behavior type,Start (s),Stop (s),Duration (s)
o1,mouse 1.mp4,b,walk,STATE,0.6,1.0,0.4
o1,mouse 1.mp4,a,groom,STATE,0.2,0.6,0.4
"""


def _write(directory: Path, text: str) -> Path:
    path = directory / 'labels.csv'
    path.write_text(text, encoding='utf-8')
    return path


@pytest.mark.parametrize('text', [TABULAR, OLD, AGGREGATED])
def test_boris_exports_give_the_same_event(tmp_path: Path, text: str) -> None:
    events = read_boris(_write(tmp_path, text), 'mouse 1')
    assert events[0] == Event('groom', 0.2, 0.6)
    assert not any(event.behavior == 'walk' and event.start == 0 for event in events)


def test_empty_cells_and_rows_at_the_ends_do_no_harm(tmp_path: Path) -> None:
    text = 'Behavior,Start,Stop,Comment,Comment\n"walk, fast",1,2\n,,,,\nrest,3,4,"a\nb",c,\n'
    events = read_boris(_write(tmp_path, text), 'video')
    assert events == [Event('walk, fast', 1, 2), Event('rest', 3, 4)]


def test_a_boris_subject_is_chosen(tmp_path: Path) -> None:
    path = _write(tmp_path, AGGREGATED)
    assert [event.behavior for event in read_boris(path, 'mouse 1')] == ['groom', 'walk']
    assert [event.behavior for event in read_boris(path, 'mouse 1', 'b')] == ['walk']


def test_events_become_frames(tmp_path: Path) -> None:
    events = read_boris(_write(tmp_path, TABULAR), 'mouse 1')
    labels = events_to_labels(
        events, ['background', 'groom', 'jump'], np.arange(10) / 10, tmp_path / 'a.tsv'
    )
    # 0.2 <= time < 0.6; the point event is the frame that shows at 0.71 s
    assert labels.target.tolist() == [0, 0, 1, 1, 1, 1, 0, 2, 0, 0]


@pytest.mark.parametrize(
    ('events', 'words'),
    [
        ([Event('walk', 0, 0.5), Event('groom', 0.4, 0.8)], ['walk', 'groom', 'overlap']),
        ([Event('walk', 3, 4)], ['starts at 3 s', 'video ends at 0.90 s']),
    ],
)
def test_impossible_events_get_a_sentence(events: list[Event], words: list[str]) -> None:
    with pytest.raises(BeastError) as error:
        events_to_labels(
            events, ['background', 'walk', 'groom'], np.arange(10) / 10, Path('a.csv')
        )
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('Time,Behavior,Status\n1,walk,START\n', ['walk starts at 1 s and never stops']),
        ('Time,Behavior,Status\n1,walk,STOP\n', ['walk has a STOP without START']),
        ('Time,Behavior,Status\n1,walk,START\n2,walk,START\n', ['a second START at 2 s']),
        (
            'Time,Behavior,Status\n00:01,walk,START\n',
            ['Time must hold seconds', "'00:01' for walk"],
        ),
        ('Time,Behavior,Status\n,walk,START\n', ["must hold seconds, found '' for walk"]),
        ('Time,Behavior,Status\nNA,walk,POINT\n', ["must hold seconds, found 'NA' for walk"]),
        ('Time,Behavior,Status\ninf,walk,POINT\n', ["must hold seconds, found 'inf' for walk"]),
        ('Time,Behavior,Status\n1, ,POINT\n', ['a row without a behaviour']),
        ('Behavior,Start,Stop\nwalk,1\n', ["Stop must hold seconds, found '' for walk"]),
        ('Behavior,Start,Stop\nwalk,1,2\nwalk,3,4,5\n', ['3 columns', 'a row of 4 cells']),
        ('Behavior,Start (s),Stop (s)\nwalk,2,1\n', ['walk stops at 1 s, before it starts']),
        ('Behavior,Duration\nwalk,2\n', ['neither Start and Stop', 'Duration']),
        ('a,b\n1,2\n', ['no BORIS event table']),
    ],
)
def test_a_bad_event_table_gets_a_sentence(
    tmp_path: Path,
    text: str,
    words: list[str],
) -> None:
    with pytest.raises(BeastError) as error:
        read_boris(_write(tmp_path, text), 'video')
    assert all(word in str(error.value) for word in words), str(error.value)
