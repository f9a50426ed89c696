"""Tables that BORIS exports: their rows, and what they say of each observation.

An observation plays media one after the other, and its times count from the start of the first,
plus a time offset. Since version 8 the rows name the media and their durations
(`player #1:a.mp4;b.mp4` and `20.000;30.000`), before that lines above the column names do.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from beast_lp.errors import BeastError
from beast_lp.runs.foreign import column_separator
from beast_lp.segmentation.text_tables import (
    check_decimals,
    fitted_row,
    read_text,
    split_rows,
    to_number,
)

# the names of columns differ between versions of BORIS
START = ('Start (s)', 'Start')
STOP = ('Stop (s)', 'Stop')
TIME = ('Time', 'Time (s)')
STATUS = ('Behavior type', 'Status', 'Type')
MEDIA = ('Media file name', 'Media file path', 'Media file')
FRAME = ('Image index',)
START_FRAME, STOP_FRAME = ('Image index start',), ('Image index stop',)
_RATE = ('FPS (frame/s)', 'FPS')
# what BORIS writes in place of the name of a media file that it does not know
UNNAMED = ('', 'na', 'nan', 'none', 'not found')
# beginnings of `Observation type`, and what `Media file` holds in older versions, of what is no
# video
_NO_VIDEO = ('live', 'from pictures', 'from directories')
_PLAYER = re.compile(r'\|?\s*player #(\d+):', re.IGNORECASE)


@dataclass(frozen=True)
class Observation:
    """What a table says of one observation.

    Attributes:
        name: its id; empty where the table has none.
        media: paths of the media of the first player in their order, as they are written; where
            the table does not list them, those that its rows name; empty if these name none.
        durations: their durations, s; empty where the table does not have them all.
        rates: their frames per second, NaN where unknown; as many as there are media, or empty.
        offset: seconds that BORIS added to all times.
        is_video: false for live observations and for folders of pictures.
    """

    name: str
    media: tuple[str, ...]
    durations: tuple[float, ...]
    rates: tuple[float, ...]
    offset: float
    is_video: bool


@dataclass(frozen=True)
class BorisTable:
    """Rows of a table as text.

    Attributes:
        path: file of the table.
        rows: cells without blanks around them.
        observations: observation of each row.
        decimal_comma: whether a comma stands before decimals.
    """

    path: Path
    rows: pd.DataFrame
    observations: list[Observation]
    decimal_comma: bool

    def only(self, chosen: Sequence[bool]) -> 'BorisTable':
        """Return the table with the chosen rows.

        Args:
            chosen: whether each row is kept.
        """
        kept = [own for own, keep in zip(self.observations, chosen, strict=True) if keep]
        rows = self.rows.loc[list(chosen)].reset_index(drop=True)
        return replace(self, rows=rows, observations=kept)

    def column(self, names: Iterable[str]) -> str | None:
        """Return the first of some names that is a column."""
        return next((name for name in names if name in self.rows), None)

    def cells(self, names: Iterable[str]) -> list[str]:
        """Return the cells of the first of some columns; empty text where there is none."""
        name = self.column(names)
        return [''] * len(self.rows) if name is None else list(self.rows[name])

    def numbers(self, names: Iterable[str]) -> list[float]:
        """Return the cells of the first of some columns as numbers, NaN where they are none."""
        return [to_number(cell, self.decimal_comma) for cell in self.cells(names)]

    def seconds(self, name: str) -> list[float]:
        """Return a column of times.

        Args:
            name: name of the column.

        Raises:
            BeastError: if a cell is no number.
        """
        values = self.numbers([name])
        for value, cell, behavior in zip(
            values, self.rows[name], self.rows['Behavior'], strict=True
        ):
            if value != value:
                raise BeastError(
                    f'{self.path}: the column {name} must hold seconds, found {cell!r} for '
                    f'{behavior}; choose seconds as the time format in BORIS, or fill the cell'
                )
        return values

    @property
    def media(self) -> list[str]:
        """Name of the media file of each row, as it is written; empty where it is unknown."""
        return [
            '' if cell.lower() in UNNAMED or cell == 'LIVE' else cell for cell in self.cells(MEDIA)
        ]


def read_table(path: Path) -> BorisTable:
    """Read a table of events, separated by commas, semicolons or tabs.

    Args:
        path: file with the events of one observation or of several.

    Raises:
        BeastError: if it is no such table, or a column that it has twice is needed.
    """
    text = read_text(path)
    lines = text.splitlines()
    found = next((i for i, line in enumerate(lines) if 'Behavior' in _cells(path, line)), None)
    if found is None:
        raise BeastError(
            f'{path} is no BORIS event table: no line of it names a column Behavior; use '
            '"Export events" in BORIS, tabular or aggregated, as CSV or TSV'
        )
    separator, names = column_separator(lines[found]), _cells(path, lines[found])
    below = split_rows(path, '\n'.join(lines[found + 1 :]), separator)
    filled = [fitted_row(path, row, len(names)) for row in below]
    _check_columns(path, names)
    # a column that is not read may be there twice
    kept = [index for index, name in enumerate(names) if names.index(name) == index]
    rows = pd.DataFrame(
        [[row[index] for index in kept] for row in filled],
        columns=pd.Index([names[index] for index in kept]),
        dtype=str,
    )
    above = split_rows(path, '\n'.join(lines[:found]), separator, strict=False)
    decimal_comma = separator != ','
    table = BorisTable(path, rows, [], decimal_comma)
    if decimal_comma:
        columns = [table.column(names) for names in (START, STOP, TIME)]
        check_decimals(path, [cell for name in columns if name for cell in rows[name]])
    observations = _observations(table, above)
    return BorisTable(path, rows, observations, decimal_comma)


def media_stem(name: str) -> str:
    r"""Return the name of a media file without folder and suffix, on whichever system it was.

    Examples:
        >>> media_stem('C:\\lab\\mouse 1.mp4')
        'mouse 1'
    """
    return PurePosixPath(name.replace('\\', '/')).stem


def _cells(path: Path, line: str) -> list[str]:
    """Return the cells of one line; none of an empty one."""
    return next(iter(split_rows(path, line, column_separator(line), strict=False)), [])


def _check_columns(path: Path, names: Sequence[str]) -> None:
    read = {*START, *STOP, *TIME, *STATUS, *MEDIA, *FRAME, *START_FRAME, *STOP_FRAME, *_RATE}
    read |= {'Behavior', 'Subject', 'Observation id', 'Time offset (s)', 'Media duration (s)'}
    twice = next((name for name in names if name in read and names.count(name) > 1), None)
    if twice is not None:
        raise BeastError(f'{path} has two columns named {twice}; keep one of them')


def _observations(table: BorisTable, above: Sequence[Sequence[str]]) -> list[Observation]:
    """Return the observation of each row, from its cells and the lines above the table."""
    notes = [(row[0], row[1] if len(row) > 1 else '') for row in above]
    played = tuple(value for key, value in notes if key.lower() == 'player #1' and value)
    noted = dict(notes)
    kinds, media, raw_media = table.cells(['Observation type']), table.media, table.cells(MEDIA)
    made: dict[tuple[str, ...], Observation] = {}
    columns = ('Observation id', 'Source', 'Media duration (s)', 'Time offset (s)')
    rows = [*(table.cells([name]) for name in columns), table.cells(_RATE)]
    result = []
    for kind, medium, *cells in zip(kinds, raw_media, *rows, strict=True):
        is_video = not kind.lower().startswith(_NO_VIDEO) and medium != 'LIVE'
        is_video = is_video and 'Live observation' not in noted
        cells[0] = cells[0] or noted.get('Observation id', '')
        key = (*cells, str(is_video))
        if key not in made:
            made[key] = _observation(table, cells, played, noted, is_video)
        result.append(made[key])
    # without a list of media, all that the rows of an observation name are its media; rows
    # without an observation are as many observations as there are media
    named: dict[str, list[str]] = {}
    for observation, medium in zip(result, media, strict=True):
        own = named.setdefault(observation.name, [])
        if medium and medium not in own:
            own.append(medium)
    return [
        observation
        if observation.media or not observation.is_video
        else replace(
            observation,
            media=tuple(named[observation.name]) if observation.name else (medium,) * bool(medium),
        )
        for observation, medium in zip(result, media, strict=True)
    ]


def _observation(
    table: BorisTable,
    cells: Sequence[str],
    played: tuple[str, ...],
    noted: dict[str, str],
    is_video: bool,
) -> Observation:
    name, source, duration, offset, rate = cells
    media = _of_first_player(source) if is_video and source.lower() not in UNNAMED else played
    durations = tuple(to_number(x, table.decimal_comma) for x in _of_first_player(duration))
    rates = tuple(to_number(x, table.decimal_comma) for x in _of_first_player(rate))
    known = len(durations) == len(media) and all(value > 0 for value in durations)
    known = known and len(media) > 0
    offset = offset or noted.get('Time offset (s)', '')
    seconds = 0.0
    if offset.lower() not in UNNAMED:
        seconds = to_number(offset, table.decimal_comma)
        if seconds != seconds:
            raise BeastError(
                f'{table.path}: the column Time offset (s) must hold seconds, found {offset!r}; '
                'choose seconds as the time format in BORIS and export again'
            )
    return Observation(
        name,
        media if is_video else (),
        durations if known else (),
        rates if len(rates) == len(media) else (),
        seconds,
        is_video,
    )


def _of_first_player(cell: str) -> tuple[str, ...]:
    """Return the parts of a cell that belong to the first player.

    Examples:
        >>> _of_first_player('player #1:a.mp4;b.mp4|player #2:c.mp4')
        ('a.mp4', 'b.mp4')
        >>> _of_first_player('20.000;30.000|25.000')
        ('20.000', '30.000')
    """
    parts = _PLAYER.split(cell)
    # text before the first player, then numbers of players and their text
    own = dict(zip(parts[1::2], parts[2::2], strict=True)).get('1', '') if parts[1:] else parts[0]
    return tuple(part.strip() for part in own.split('|')[0].split(';') if part.strip())
