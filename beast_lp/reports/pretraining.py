"""The report of the pretraining stage: `report.html` and `figures/*.png`.

Adding a new figure: write a function from arrays or tables to a figure in `pretraining_curves` or
`pretraining_pictures`, a function here that yields a `Section` with it (or nothing, where the run
has nothing to show), and append that function to `_SECTIONS`. What it draws beside the tables
becomes a field of `PretrainingPictures`, which `pretraining_run` fills.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from pandas.api.types import is_numeric_dtype
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.pretraining.floors import FLOORS, MARGIN
from beast_lp.pretraining.tune import reason
from beast_lp.reports.embedding_map import embedding_map
from beast_lp.reports.page import Section, write_report
from beast_lp.reports.pretraining_curves import probe_curve, training_curves, tuning_panels
from beast_lp.reports.pretraining_pictures import (
    contact_sheet,
    reconstructions,
    reconstructions_over_epochs,
    retrieval_examples,
)
from beast_lp.reports.pretraining_verdict import findings, last_values
from beast_lp.reports.style import short_paths, three_digits
from beast_lp.runs.log_file import NAME as LOG_NAME
from beast_lp.runs.log_file import logged_warnings

# `status` of a video that was read to its end
_WHOLE = 'ok'
# columns of videos.csv that the page shows -> their words
_VIDEO_COLUMNS = {
    'video': 'video',
    'video_id': 'name',
    'width': 'width (px)',
    'height': 'height (px)',
    'fps': 'frames/s',
    'frames_read': 'frames',
    'anchors': 'anchors',
    'status': 'status',
    'message': 'message',
}
# columns of a damaged table that are named
_MOST_SHOWN = 8


@dataclass(frozen=True)
class PretrainingPictures:
    """Pictures and embeddings that the report draws beside the run's tables.

    Pictures are RGB. Any of the arrays may have length 0, where a run has nothing to show (no
    reconstructions without a decoder, no retrieval without the contrastive term): its section
    then says so.
    """

    # video (as in videos.csv) → anchor pictures and one caption for each
    anchor_sheets: Mapping[str, tuple[UInt8[np.ndarray, 'n height width 3'], Sequence[str]]]
    # in [0, 1]
    originals: Float[np.ndarray, 'examples 3 height width']
    masked: Float[np.ndarray, 'examples 3 height width']
    reconstructed: Float[np.ndarray, 'examples 3 height width']
    # epochs trained → reconstructions of the same examples at that time, 0 to 255
    snapshots: Mapping[int, UInt8[np.ndarray, 'examples 3 height width']]
    retrieval_anchors: Float[np.ndarray, 'pairs 3 height width']
    retrieval_nearest: Float[np.ndarray, 'pairs 3 height width']
    retrieval_correct: Bool[np.ndarray, ' pairs']
    retrieval_captions: Sequence[str]
    # by what frames are compared, in words → share of positives found, on whole frames; and the
    # number of pairs among which they were sought
    retrieval_shares: Mapping[str, float]
    retrieval_pairs: int
    # CLS tokens
    embeddings: Float[np.ndarray, 'tokens dim']
    embedding_video: Sequence[str]
    # share of the video that lies before the frame, 0 to 1
    embedding_time: Float[np.ndarray, ' tokens']


@dataclass(frozen=True)
class _Run:
    """The tables and pictures of one run."""

    summary: Mapping[str, str]
    metrics: pd.DataFrame
    videos: pd.DataFrame
    anchors: pd.DataFrame
    # short runs that chose the contrastive weight; None if there were none
    tuning: pd.DataFrame | None
    warnings: Sequence[str]
    # trains a pose model; empty where the run was started otherwise than by its command
    next_command: str
    pictures: PretrainingPictures


def write_pretraining_report(
    output_dir: Path,
    summary: Mapping[str, str],
    pictures: PretrainingPictures,
    next_command: str = '',
) -> Path:
    """Write `report.html` and `figures/*.png` for a pretraining run.

    Args:
        output_dir: folder of the run, with `metrics.csv`, `videos.csv` and `anchors.csv`.
        summary: settings, versions and times by what they are.
        pictures: pictures to draw beside the tables.
        next_command: command that trains a pose model on the backbone.

    Returns:
        The path of the page.

    Raises:
        BeastError: if one of the three tables is missing, empty or lacks a column.
    """
    tuning = output_dir / 'tune' / 'tune.csv'
    run = _Run(
        summary,
        read_table(output_dir / 'metrics.csv'),
        read_table(output_dir / 'videos.csv', needed=('video', 'status')),
        read_table(output_dir / 'anchors.csv', needed=('video', 'frame')),
        read_table(tuning, ('contrastive_weight', 'chosen')) if tuning.exists() else None,
        logged_warnings(output_dir / LOG_NAME),
        next_command,
        pictures,
    )
    sections = [section for build in _SECTIONS for section in build(run)]
    page = write_report(output_dir, 'BEAST pretraining', sections)
    names = [name for section in sections for name in section.figures]
    _add_to_tensorboard(output_dir / 'figures', names, output_dir / 'tb_logs')
    _remove_old_sheets(output_dir / 'figures', keep=names)
    return page


def read_table(
    path: Path,
    needed: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a table; names and identifiers stay text even where they look like numbers.

    Args:
        path: CSV file that pretraining wrote.
        needed: columns that it must have.
        numbers: columns of numbers that it must have; it then needs a row, too.

    Raises:
        BeastError: if the table is missing or damaged.
    """
    restore = 'restore the file that pretraining wrote, or run pretraining again'
    try:
        table = pd.read_csv(path, dtype={'video': str, 'video_id': str})
    except (FileNotFoundError, pd.errors.EmptyDataError) as error:
        raise BeastError(
            f'the report needs the table {path}, which is missing or empty; run the pretraining '
            'again, or give its output directory'
        ) from error
    except ValueError as error:
        raise BeastError(
            f'the table {path} cannot be read ({" ".join(str(error).split())}); {restore}'
        ) from error
    missing = [name for name in (*needed, *numbers) if name not in table]
    if missing:
        found = ', '.join(map(str, table.columns[:_MOST_SHOWN]))
        raise BeastError(f'the table {path} lacks {", ".join(missing)} (found {found}); {restore}')
    texts = [name for name in numbers if not is_numeric_dtype(table[name])]
    if texts or (numbers and table.empty):
        found = 'no rows' if table.empty else f'no numbers in {", ".join(texts)}'
        raise BeastError(f'the table {path} has {found}; {restore}')
    return table


def _verdict(run: _Run) -> Iterator[Section]:
    found = [(finding.good, finding.text) for finding in findings(run.metrics)]
    yield Section('What came out', findings=found, code=run.next_command)


def _summary(run: _Run) -> Iterator[Section]:
    table = pd.Series(run.summary, dtype=object).rename_axis('what').reset_index(name='value')
    yield Section('What was run', table=table)


def _warnings(run: _Run) -> Iterator[Section]:
    """Repeat what the run warned of, which its log may hide."""
    if run.warnings:
        text = f'These are in {LOG_NAME}, too, with the time.'
        yield Section('Warnings', text, findings=[(False, words) for words in run.warnings])


def _curves(run: _Run) -> Iterator[Section]:
    text = (
        'In a good run the losses fall steeply, then flatten, and validation stays close to '
        'training. Validation that rises while training still falls means overfitting (use more '
        'videos or fewer epochs); a loss that jumps or stops means that the learning rate is too '
        'high. The contrastive loss moves by about one nat at most when the temperature is 1, so '
        f'a nearly flat curve there is not by itself a fault.{_contrastive_sentence(run.metrics)}'
        f'\n\n{_explained_sentence(run.metrics)}'
        'If much of the time goes into waiting for data, more loader workers will make training '
        'faster.'
    )
    yield Section('Training curves', text, {'training_curves': training_curves(run.metrics)})


def _contrastive_sentence(metrics: pd.DataFrame) -> str:
    last = last_values(metrics, 'val_contrastive', 'val_contrastive_chance')
    if last is None:
        return ''
    found, chance = map(three_digits, last)
    return (
        f' On held-out frames it ended at {found}; a model to which all frames look alike has '
        f'{chance} (chance).'
    )


def _explained_sentence(metrics: pd.DataFrame) -> str:
    """Say how much of held-out frames the model explains that needs a model."""
    last = last_values(metrics, 'val_explained', 'val_background_explained')
    if last is None:
        return ''
    mean, median = (f'{100 * share:.0f} %' for share in last)
    text = (
        'What counts of the reconstruction is what no fixed picture explains. In the hidden '
        f'patches of held-out frames the model explains {mean} of what the mean picture of the '
        f'training frames leaves over, and {median} of what the median of each video leaves over. '
        'At 0 % it has learned no more than that picture, below 0 % less; only what is beyond the '
        'median is about the animal.'
    )
    if last[0] <= 0:
        text += ' This run has not learned more than the mean picture: it needs more steps.'
    return f'{text}\n\n'


def _tuning(run: _Run) -> Iterator[Section]:
    """Show the runs that chose the contrastive weight, if there were any."""
    if run.tuning is None:
        return
    if 'spread_px' in run.tuning:
        text = (
            'Two short runs, with different seeds, for each weight of the contrastive term. '
            f'{_sentence(reason(run.tuning))}'
        )
    else:
        text = (
            'One short run for each weight of the contrastive term, by an older version of '
            'beast_lp, which chose without regard to what chance does.'
        )
    yield Section(
        'Choice of the contrastive weight',
        text,
        {'tuning': tuning_panels(run.tuning)},
        run.tuning,
        frozenset(np.flatnonzero(run.tuning['chosen']).tolist()),
    )


def _sentence(words: str) -> str:
    return f'{words[0].upper()}{words[1:]}.'


def _probe(run: _Run) -> Iterator[Section]:
    """Show the probe, if it was measured."""
    if 'probe_px' not in run.metrics or not np.isfinite(run.metrics['probe_px']).any():
        return
    measured = run.metrics.dropna(subset=['probe_px'])
    last = measured.iloc[-1]
    floors = {
        name: float(last[f'probe_{name}_px'])
        for name in FLOORS
        if np.isfinite(last.get(f'probe_{name}_px', np.nan))
    }
    text = (
        'The probe measures how well frozen features locate your labelled keypoints: a ridge '
        'regression predicts them on labelled frames that it was not fitted to, in pixels of the '
        'original images. A pose model is fine-tuned and much better than this. What counts is '
        'that the line falls below the dashed ones, which need no pretraining; where it does not, '
        'pretraining does not help these keypoints.\n\n'
        f'At the end: {three_digits(last["probe_px"])} px.{_floor_sentence(last, floors)}\n\n'
        f'{_best_sentence(measured)}'
    )
    rows = {
        'this run, at the end': last['probe_px'],
        'the same, each feature scaled by itself': last.get('probe_z_px', np.nan),
        'this run, before training': last.get('probe_start_px', np.nan),
        **{FLOORS[name]: value for name, value in floors.items()},
    }
    table = pd.DataFrame({'read from': list(rows), 'mean error (px)': list(rows.values())})
    table = table.dropna(ignore_index=True)
    yield Section(
        'Keypoints from frozen features', text, {'probe': probe_curve(run.metrics)}, table
    )


def _floor_sentence(last: pd.Series, floors: Mapping[str, float]) -> str:
    """Return the sentence that compares the last weights with the best floor."""
    if not floors:
        return ''
    best = min(floors, key=lambda name: floors[name])
    value = f'{three_digits(floors[best])} px'
    if last['probe_px'] < floors[best]:
        share = 100 * (1 - last['probe_px'] / floors[best])
        return (
            f' The best floor is {FLOORS[best]} with {value}; the error here is {share:.0f} % '
            'lower.'
        )
    return (
        f' That is no better than {FLOORS[best]} with {value}: for these keypoints this run has '
        'not paid so far.'
    )


def _best_sentence(measured: pd.DataFrame) -> str:
    """Say which weights the backbone holds, and where the best ones are."""
    errors = measured['probe_px'].tolist()
    place = int(np.argmin(errors))
    text = 'backbone/ holds the weights of the last epoch'
    if place == len(errors) - 1:
        return f'{text}, at which the probe was lowest; checkpoints/best.ckpt holds them too.'
    text += (
        f'. The probe was lowest, {three_digits(errors[place])} px, after epoch '
        f'{int(measured["epoch"].iloc[place]) + 1}, whose weights are in checkpoints/best.ckpt'
    )
    if errors[place] < (1 - MARGIN) * errors[-1]:
        return (
            f'{text}. That is clearly better: to use them, give that file to litpose embed, or as '
            'model.backbone_checkpoint.'
        )
    return f'{text}. The difference is within what the probe moves by itself.'


def _reconstructions(run: _Run) -> Iterator[Section]:
    title, pictures = 'Reconstruction of hidden patches', run.pictures
    if not len(pictures.originals):
        yield Section(title, 'Nothing to show: this run reconstructed no pictures.')
        return
    text = (
        'The model sees only the patches of the middle picture and fills in the rest. After '
        'enough training the body, its posture and fixed equipment are in the right place; fine '
        'texture (fur, whiskers, noise) stays blurred even in a good model. A uniform grey or '
        'the same average animal in every row means that it has not learned enough yet.'
    )
    drawing = reconstructions(pictures.originals, pictures.masked, pictures.reconstructed)
    yield Section(title, text, {'reconstructions': drawing})


def _snapshots(run: _Run) -> Iterator[Section]:
    """Show the reconstructions made during training, if there were two or more."""
    pictures = run.pictures
    if len(pictures.snapshots) < 2:
        return
    text = (
        'The same frames with the same hidden patches, as training went on. First comes the mean '
        'colour, then the arena, then the animal. If the last columns still differ, more epochs '
        'would still change the model; if they have long been equal, fewer would have been enough.'
    )
    drawing = reconstructions_over_epochs(pictures.originals, pictures.masked, pictures.snapshots)
    yield Section('Reconstruction over the epochs', text, {'reconstructions_over_epochs': drawing})


def _retrieval(run: _Run) -> Iterator[Section]:
    title, pictures = 'Retrieval of the neighbouring frame', run.pictures
    if not len(pictures.retrieval_anchors):
        yield Section(title, 'Nothing to show: this run compared no pairs of frames.')
        return
    text = (
        'Upper pictures: anchor frames. Lower pictures: the frame that the model finds most '
        'similar, of all frames compared. Blue: this is indeed the frame just before or after '
        'the anchor (the positive); orange: it is another frame. Mistakes between look-alike '
        'postures are harmless, mistakes between unlike ones are not.'
    )
    drawing = retrieval_examples(
        pictures.retrieval_anchors,
        pictures.retrieval_nearest,
        pictures.retrieval_correct,
        pictures.retrieval_captions,
    )
    text = f'{text}\n\n{_pixel_sentence(pictures)}'
    found = list(pictures.retrieval_shares.values())
    chance = _chance(pictures)
    table = pd.DataFrame(
        {
            'frames compared by': [*pictures.retrieval_shares, 'guessing (chance)'],
            'positives found (%)': [100 * share for share in (*found, chance)],
            'of': [pictures.retrieval_pairs] * (len(found) + 1),
        }
    )
    yield Section(title, text, {'retrieval': drawing}, table if found else None)


def _chance(pictures: PretrainingPictures) -> float:
    """Return the share of positives that guessing finds."""
    return 1 / (2 * pictures.retrieval_pairs - 1)


def _pixel_sentence(pictures: PretrainingPictures) -> str:
    """Say what retrieval of neighbouring frames is worth."""
    chance = three_digits(100 * _chance(pictures))
    return (
        'A high share is no sign of learning: the frame before or after an anchor is nearly a '
        'copy of it, which grey pixels and random weights find too. Only a share well below that '
        'of the pixels says something, namely that the model leaves out what tells neighbours '
        'apart. No positive further away is known that would make a harder test. On whole frames, '
        f'among {pictures.retrieval_pairs} pairs (chance: {chance}%):'
    )


def _map(run: _Run) -> Iterator[Section]:
    title, pictures = 'Map of the CLS tokens', run.pictures
    finite = np.isfinite(pictures.embeddings).all(axis=1).sum()
    if finite < 3:
        yield Section(title, f'Nothing to show: a map needs three finite tokens, found {finite}.')
        return
    text = (
        "Each point is one frame, placed by the two directions in which the tokens (the model's "
        'summary of a whole frame) differ most; frames that look alike to the model lie close '
        'together. Videos that mix mean that the model describes behaviour rather than the '
        'recording; one island for each video means that camera, light or animal dominate. '
        'A smooth gradient in the right map points to a slow drift within the videos.'
    )
    drawing = embedding_map(pictures.embeddings, pictures.embedding_video, pictures.embedding_time)
    yield Section(title, text, {'embedding_map': drawing})


def _videos(run: _Run) -> Iterator[Section]:
    statuses = [str(status) for status in run.videos['status']]
    broken = Counter(status for status in statuses if status != _WHOLE)
    problems = ', '.join(f'{count} {status}' for status, count in broken.most_common())
    text = f'{statuses.count(_WHOLE)} of {len(statuses)} videos were read from start to end.'
    if problems:
        text += (
            f' The others ({problems}) come first and are marked: check these files, since '
            'behaviour that occurs only in them is under-represented in the model.'
        )
    # problems first, so that a long table cannot hide them
    order = sorted(range(len(statuses)), key=lambda row: statuses[row] == _WHOLE)
    table = run.videos.assign(video=short_paths(run.videos['video'].tolist())).take(order)
    columns = {
        words: table[name]
        for name, words in _VIDEO_COLUMNS.items()
        if name in table and bool(table[name].notna().to_numpy().any())
    }
    table = pd.DataFrame(columns)
    yield Section('Videos', text, table=table, marked_rows=frozenset(range(broken.total())))


def _sheets(run: _Run) -> Iterator[Section]:
    """Show the anchors of each video that has a sheet, one section for each."""
    sheets = {name: sheet for name, sheet in run.pictures.anchor_sheets.items() if len(sheet[0])}
    videos = list(dict.fromkeys([*sheets, *run.anchors['video']]))
    titles = dict(zip(videos, short_paths(videos), strict=True))
    for index, (video, (images, captions)) in enumerate(sheets.items()):
        text = [_sheet_sentence(run.anchors, video, len(images))]
        if index == 0:
            text.append(
                'The anchors should cover what the animal does: many different postures and '
                'places, few near-duplicates. Empty, black or blurred pictures point to parts of '
                'the video that are better cut out.'
            )
            if len(sheets) < len(videos):
                text.append(
                    f'Only {len(sheets)} of the {len(videos)} videos with anchors are shown here.'
                )
        yield Section(
            f'Anchors: {titles[video]}',
            '\n\n'.join(text),
            {_sheet_name(index, video): contact_sheet(images, captions)},
        )


def _sheet_sentence(anchors: pd.DataFrame, video: str, shown: int) -> str:
    frames = anchors.loc[anchors['video'] == video, 'frame']
    if frames.empty:
        return f'{shown} anchors; anchors.csv has no row for this video.'
    return (
        f'{shown} of the {len(frames)} anchors of this video, which lie between frames '
        f'{frames.min()} and {frames.max()}.'
    )


def _sheet_name(index: int, video: str) -> str:
    """Return a file name without suffix; the number keeps videos of equal names apart."""
    stem = re.sub(r'[^\w.-]+', '_', Path(video).stem, flags=re.ASCII)
    return f'anchors_{index + 1:02d}_{stem[:60]}'


def _add_to_tensorboard(folder: Path, names: Sequence[str], logs: Path) -> None:
    """Show the figures of the page in TensorBoard too, beside the curves that training wrote."""
    if not logs.is_dir():
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(logs), filename_suffix='.report') as writer:
        for name in names:
            with Image.open(folder / f'{name}.png') as picture:
                writer.add_image(name, np.asarray(picture.convert('RGB')), dataformats='HWC')


def _remove_old_sheets(folder: Path, keep: Sequence[str]) -> None:
    """Remove the sheets of an earlier run in the same folder, which this page does not show."""
    for path in folder.glob('anchors_[0-9][0-9]_*.png'):
        if path.stem not in keep:
            path.unlink()


# in the order of the page
_SECTIONS: tuple[Callable[[_Run], Iterator[Section]], ...] = (
    _verdict,
    _reconstructions,
    _probe,
    _snapshots,
    _retrieval,
    _map,
    _curves,
    _tuning,
    _warnings,
    _videos,
    _summary,
    _sheets,
)
