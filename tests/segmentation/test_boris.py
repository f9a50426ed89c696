"""Event tables of BORIS, and what is refused of them."""

from pathlib import Path

import numpy as np
import pytest

from beast_lp.errors import BeastError
from beast_lp.segmentation.boris import coded_videos, read_boris
from beast_lp.segmentation.boris_labels import Event, events_to_labels

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


# columns of the aggregated events of BORIS 9, and those of its tabular ones
COLUMNS = (
    'Observation id,Observation date,Description,Observation type,Source,Time offset (s),'
    'Coding duration,Media duration (s),FPS (frame/s),Subject,'
    'Observation duration by subject by observation,Behavior,Behavioral category,Behavior type,'
    'Start (s),Stop (s),Duration (s),Media file name,Image index start,Image index stop'
)
TABULAR_COLUMNS = (
    'Observation id,Observation date,Description,Observation duration,Observation type,Source,'
    'Time offset (s),Media duration (s),FPS,Subject,Behavior,Behavioral category,Modifier #1,'
    'Behavior type,Time,Media file name,Image index,Image file path,Comment'
)
TIMES = np.arange(600) / 30


def _row(start: float, stop: float, behavior: str = 'groom', **changes: object) -> dict[str, str]:
    row = {
        'Observation id': 'o1',
        'Observation type': 'Media file',
        'Source': 'player #1:a.mp4',
        'Time offset (s)': '0',
        'Media duration (s)': '20.000',
        'FPS (frame/s)': '30.000',
        'Subject': 'No focal subject',
        'Behavior': behavior,
        'Behavior type': 'STATE',
        'Start (s)': f'{start:.3f}',
        'Stop (s)': f'{stop:.3f}',
        'Media file name': 'a.mp4',
        'Image index start': 'NA',
        'Image index stop': 'NA',
    }
    return row | {name.replace('_', ' '): str(value) for name, value in changes.items()}


def _aggregated(directory: Path, *rows: dict[str, str]) -> Path:
    names = COLUMNS.split(',')
    lines = [names, *([row.get(name, '') for name in names] for row in rows)]
    return _write(directory, ''.join(','.join(line) + '\n' for line in lines))


def _tabular(directory: Path, *rows: tuple[float, str, str], **changes: str) -> Path:
    common = _row(0, 0) | {'Observation type': 'Media file(s)', 'FPS': '30.000'} | changes
    cells = [
        common
        | {'Behavior': behavior, 'Behavior type': kind, 'Time': str(time)}
        | {'Modifier #1': behavior.partition('|')[2]}
        | {'Behavior': behavior.partition('|')[0]}
        for time, behavior, kind in rows
    ]
    names = TABULAR_COLUMNS.split(',')
    lines = [names, *([row.get(name, '') for name in names] for row in cells)]
    return _write(directory, ''.join(','.join(line) + '\n' for line in lines))


def _groomed(events: list[Event], times: np.ndarray = TIMES) -> list[int]:
    """Return the first and the last frame of grooming."""
    target = events_to_labels(events, ['background', 'groom'], times, Path('a.csv')).target
    return np.flatnonzero(target)[[0, -1]].tolist()


@pytest.mark.parametrize('indices', [('NA', 'NA'), ('90', '120')])
def test_a_time_offset_is_subtracted(tmp_path: Path, indices: tuple[str, str]) -> None:
    row = _row(5.5, 6.5) | {'Time offset (s)': '2.5'}
    row |= dict(zip(('Image index start', 'Image index stop'), indices, strict=True))
    events = read_boris(_aggregated(tmp_path, row), 'a')
    assert events == [Event('groom', 3, 4)]
    assert _groomed(events) == [90, 119]
    path = _tabular(
        tmp_path, (5.5, 'groom', 'START'), (6.5, 'groom', 'STOP'), **{'Time offset (s)': '2.5'}
    )
    assert read_boris(path, 'a') == [Event('groom', 3, 4)]


@pytest.mark.parametrize('indices', [('150', '180'), ('750', '780'), ('NA', 'NA')])
def test_an_image_index_may_count_from_the_first_file(
    tmp_path: Path,
    indices: tuple[str, str],
) -> None:
    row = _row(25, 26) | {'Source': 'player #1:a.mp4;b.mp4', 'Media file name': 'b.mp4'}
    row |= {'Media duration (s)': '20.000;20.000', 'FPS (frame/s)': '30.000;30.000'}
    row |= dict(zip(('Image index start', 'Image index stop'), indices, strict=True))
    assert _groomed(read_boris(_aggregated(tmp_path, row), 'b')) == [150, 179]


@pytest.mark.parametrize('offset', [0.0, 2.5])
@pytest.mark.parametrize('layout', [_aggregated, _tabular])
def test_a_bout_is_cut_at_the_border_of_two_media(
    tmp_path: Path,
    offset: float,
    layout: object,
) -> None:
    media = {
        'Source': 'player #1:x/a.mp4;x/b.mp4;x/c.mp4|player #2:z.mp4',
        'Media duration (s)': '20.000;10.000;20.000|50.000',
        'FPS': '30.000;25.000;30.000|30.000',
        'FPS (frame/s)': '30.000;25.000;30.000|30.000',
        'Time offset (s)': str(offset),
        # the file at the start of the bout
        'Media file name': 'x/a.mp4',
    }
    if layout is _aggregated:
        row = _row(18 + offset, 33 + offset)
        row |= media | {'Image index start': '540', 'Image index stop': '90'}
        path = _aggregated(tmp_path, row)
    else:
        edges = (18 + offset, 'groom', 'START'), (33 + offset, 'groom', 'STOP')
        path = _tabular(tmp_path, *edges, **{**media, 'Media file name': ''})
    assert read_boris(path, 'a') == [Event('groom', 18, 20)]
    assert read_boris(path, 'b') == [Event('groom', 0, 10)]
    assert read_boris(path, 'c') == [Event('groom', 0, 3)]
    assert _groomed(read_boris(path, 'a')) == [540, 599]
    assert _groomed(read_boris(path, 'b'), np.arange(250) / 25) == [0, 249]
    assert _groomed(read_boris(path, 'c')) == [0, 89]
    assert set(coded_videos(path) or ()) == {'a', 'b', 'c'}


def test_a_bout_that_ends_at_a_border_is_in_one_file(tmp_path: Path) -> None:
    media = {'Source': 'player #1:a.mp4;b.mp4', 'Media duration (s)': '20.000;20.000'}
    path = _aggregated(
        tmp_path,
        _row(18, 20) | media,
        _row(20, 21, 'walk') | media | {'Media file name': 'b.mp4'},
        _row(20, 20, 'jump') | media | {'Media file name': 'b.mp4'},
    )
    assert read_boris(path, 'a') == [Event('groom', 18, 20)]
    assert read_boris(path, 'b') == [Event('walk', 0, 1), Event('jump', 0, 0)]


@pytest.mark.parametrize(
    'source',
    [
        'player #1:a.mp4;b.mp4',
        'player #1: a.mp4; b.mp4; player #2: z.mp4; ',
        'player #1: a.mp4;b.mp4 player #2: z.mp4',
        'a.mp4;b.mp4',
    ],
)
def test_media_without_durations_cannot_be_told_apart(tmp_path: Path, source: str) -> None:
    for duration in ('', 'NA', 'NA;NA', '20.000'):
        row = _row(3, 4) | {'Source': source, 'Media duration (s)': duration}
        with pytest.raises(BeastError, match=r'o1 plays 2 media .*does not say how long each'):
            read_boris(_aggregated(tmp_path, row), 'a')


def test_two_media_of_one_observation_need_a_list(tmp_path: Path) -> None:
    old = 'Observation id,Media file name,Behavior,Start,Stop\n'
    path = _write(tmp_path, f'{old}o1,a.mp4,walk,1,2\no1,b.mp4,walk,21,22\n')
    for video in 'ab':
        with pytest.raises(BeastError, match=r'plays 2 media files .a, b.'):
            read_boris(path, video)
    # observations of their own
    path = _write(tmp_path, f'{old}o1,a.mp4,walk,1,2\no2,b.mp4,walk,1,2\n')
    assert read_boris(path, 'b') == [Event('walk', 1, 2)]


def test_the_notes_above_an_older_table_count(tmp_path: Path) -> None:
    noted = OLD.replace('\nTime,', '\nTime offset (s),0.1\n\nTime,')
    assert read_boris(_write(tmp_path, noted), 'mouse 1')[0] == Event('groom', 0.1, 0.5)
    two = OLD.replace('\nTime,', '\nPlayer #1,mouse 2.mp4\nTime,')
    with pytest.raises(BeastError, match='o1 plays 2 media files .mouse 1, mouse 2.'):
        read_boris(_write(tmp_path, two), 'mouse 1')
    live = OLD.replace('\nTime,', '\nLive observation\nTime,')
    with pytest.raises(BeastError, match='rows are of live observations'):
        read_boris(_write(tmp_path, live), 'mouse 1')


def test_an_image_index_takes_precedence_over_a_rounded_time(tmp_path: Path) -> None:
    # 151.6 and 152.4 frames round to the same times
    row = _row(5.07, 6.07) | {'Image index start': '153', 'Image index stop': '181'}
    assert _groomed(read_boris(_aggregated(tmp_path, row), 'a')) == [153, 180]
    # the player counts frames by the rate, which says nothing where that varies
    times = np.concatenate([np.arange(300) / 60, 5 + np.arange(300) / 20])
    row = _row(8, 9) | {'Image index start': '240', 'Image index stop': '270'}
    assert _groomed(read_boris(_aggregated(tmp_path, row), 'a'), times) == [360, 379]
    row = _row(8, 9) | {'Image index start': '90', 'Image index stop': '120'}
    with pytest.raises(BeastError, match=r'at 8 s .* by its time, but .* Image index .90.'):
        _groomed(read_boris(_aggregated(tmp_path, row), 'a'))


def test_times_that_are_dates_are_replaced_by_the_image_index(tmp_path: Path) -> None:
    begin = 1_700_000_000
    row = _row(begin + 3, begin + 4)
    indexed = row | {'Image index start': '90', 'Image index stop': '120'}
    assert _groomed(read_boris(_aggregated(tmp_path, indexed), 'a')) == [90, 119]
    for changed in (row, indexed | {'Image index stop': '240'}):
        with pytest.raises(BeastError, match=r'the times of groom .1700000003.000. are dates'):
            read_boris(_aggregated(tmp_path, changed), 'a')


def test_a_bout_in_no_known_file_is_where_its_time_says(tmp_path: Path) -> None:
    lost = _row(0, 2) | {'Media file name': 'Not found'}
    both = [Event('groom', 0, 2), Event('groom', 3, 4)]
    assert read_boris(_aggregated(tmp_path, lost, _row(3, 4)), 'a') == both
    # without the list of media, the other rows of the observation name the one there is
    rows = [row | {'Source': ''} for row in (lost, _row(3, 4))]
    assert read_boris(_aggregated(tmp_path, *rows), 'a') == both
    rows[0]['Observation id'] = 'o2'
    with pytest.raises(BeastError, match='1 of 2 rows .the first is of groom. name no media file'):
        read_boris(_aggregated(tmp_path, *rows), 'a')


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'Media file name': 'b.mp4'}, ['names the media file b.mp4', 'tell of a']),
        ({'Time offset (s)': '00:01'}, ["Time offset (s) must hold seconds, found '00:01'"]),
        ({'Time offset (s)': '4'}, ['starts at -1 s, before its video']),
        ({'Media duration (s)': '40.000'}, ['scored on a video of 40 s', 'has 20.00 s']),
        ({'Stop (s)': '25'}, ['stops at 25 s, but the video ends at 19.97 s']),
        (
            {'Observation type': 'Live observation', 'Source': 'NA'},
            ['1 rows are of live', 'delete'],
        ),
        ({'Observation type': 'From pictures', 'Source': '/pictures;'}, ['none of its 1 rows']),
        ({'Source': 'player #1:A.mp4', 'Media file name': 'A.mp4'}, ["did you mean 'A'"]),
        (
            {'Source': 'player #1:a.mp4;a.mp4', 'Media duration (s)': '20;20'},
            ['the observation o1 plays a 2 times'],
        ),
    ],
)
def test_a_column_that_changes_the_meaning_is_not_ignored(
    tmp_path: Path,
    change: dict[str, str],
    words: list[str],
) -> None:
    assert _groomed(read_boris(_aggregated(tmp_path, _row(3, 4)), 'a')) == [90, 119]
    with pytest.raises(BeastError) as error:
        _groomed(read_boris(_aggregated(tmp_path, _row(3, 4) | change), 'a'))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_media_of_nearly_one_name_are_not_mixed(tmp_path: Path) -> None:
    for other in ('A.mp4', 's2/a.mp4', 'a.avi'):
        more = _row(5, 6) | {'Observation id': 'o2', 'Source': f'player #1:{other}'}
        more |= {'Media file name': other}
        first = _row(3, 4) | {'Source': 'player #1:s1/a.mp4', 'Media file name': 's1/a.mp4'}
        with pytest.raises(BeastError, match=r'names (the|two) media files'):
            read_boris(_aggregated(tmp_path, first, more), 'a')
    # one file, with its folder and without
    more |= {'Source': 'player #1:a.mp4', 'Media file name': 'a.mp4'}
    assert len(read_boris(_aggregated(tmp_path, first, more), 'a')) == 2


@pytest.mark.parametrize(
    ('subjects', 'asked', 'words'),
    [
        (['Mouse1', 'Mouse1'], 'mouse1', ['none of its 2 rows', 'Mouse1 2', "mean 'Mouse1'"]),
        (['Mouse1', 'mouse1'], 'mouse1', ["1 rows of the subject 'mouse1' and 1 of 'Mouse1'"]),
        (['', ''], 'mouse1', ['No focal subject 2']),
        (['m2', 'm1'], 'm1', ['none of the 1 events of a has', 'm2 1', 'background']),
    ],
)
def test_a_subject_without_rows_is_no_background(
    tmp_path: Path,
    subjects: list[str],
    asked: str,
    words: list[str],
) -> None:
    first, other = (_row(3, 4) | {'Subject': subject} for subject in subjects)
    other |= {'Observation id': 'o2', 'Source': 'player #1:b.mp4', 'Media file name': 'b.mp4'}
    with pytest.raises(BeastError) as error:
        read_boris(_aggregated(tmp_path, first, other), 'a', asked)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_several_subjects_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [_row(3, 4) | {'Subject': 'm1'}, _row(5, 6) | {'Subject': 'm2'}]
    assert len(read_boris(_aggregated(tmp_path, *rows), 'a')) == 2
    assert 'several subjects in a (m1 1, m2 1), and all count' in caplog.text
    assert read_boris(_aggregated(tmp_path, *rows), 'a', 'm2') == [Event('groom', 5, 6)]
    table = _write(tmp_path, 'Behavior,Start,Stop\nwalk,1,2\n')
    with pytest.raises(BeastError, match=r'no column Subject, but .*subject=m1'):
        read_boris(table, 'a', 'm1')


def test_two_scorers_of_one_video_get_a_sentence(tmp_path: Path) -> None:
    def both(*second: dict[str, str]) -> list[Event]:
        rows = [row | {'Observation id': 'ben'} for row in second]
        return read_boris(_aggregated(tmp_path, _row(3, 4), _row(8, 9), *rows), 'a')

    with pytest.raises(BeastError, match=r'two observations of a .o1 and ben. that both score gr'):
        both(_row(5, 6))
    # another behaviour, or another part of the video
    assert len(both(_row(5, 6, 'walk'))) == len(both(_row(9, 10))) == 3


def test_modifiers_tell_bouts_of_one_behaviour_apart(tmp_path: Path) -> None:
    rows = [(1, 'START'), (2, 'START'), (3, 'STOP'), (4, 'STOP')]
    sides = ['left', 'right', 'left', 'right']
    path = _tabular(
        tmp_path,
        *((t, f'groom|{side}', kind) for (t, kind), side in zip(rows, sides, strict=True)),
    )
    events = read_boris(path, 'a')
    assert events == [Event('groom', 1, 3), Event('groom', 2, 4)]
    assert _groomed(events) == [30, 119]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (('Start (s)', 'Behavior'), ['two columns named Behavior']),
        (('Description', 'Time offset (s)'), ['two columns named Time offset (s)']),
    ],
)
def test_a_column_that_is_there_twice_gets_a_sentence(
    tmp_path: Path,
    change: tuple[str, str],
    words: list[str],
) -> None:
    path = _aggregated(tmp_path, _row(3, 4))
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(BeastError) as error:
        read_boris(path, 'a')
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_table_without_events_is_no_background(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='has no events, so that all of a would count as backg'):
        read_boris(_aggregated(tmp_path), 'a')


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    text = 'Behavior;Start;Stop\ngroom ;2,5;3,5\n'
    assert read_boris(_write(tmp_path, text), 'a') == [Event('groom', 2.5, 3.5)]
    with pytest.raises(BeastError, match=r'a point .3.500. and with a comma .2,500.'):
        read_boris(_write(tmp_path, text.replace('2,5', '2,500').replace('3,5', '3.500')), 'a')
    with pytest.raises(BeastError, match="must hold seconds, found '2,5'"):
        read_boris(_write(tmp_path, 'Behavior,Start,Stop\ngroom,"2,5",3\n'), 'a')
