"""The report of the pretraining stage: `report.html` and `figures/*.png`."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from matplotlib.figure import Figure
from PIL import Image

from beast_lp.errors import BeastError
from beast_lp.reports.embedding_map import embedding_map
from beast_lp.reports.page import Section, save_figure, write_page
from beast_lp.reports.pretraining_curves import probe_curve, training_curves, tuning_panels
from beast_lp.reports.pretraining_pictures import (
    contact_sheet,
    reconstructions,
    reconstructions_over_epochs,
    retrieval_examples,
)

logger = logging.getLogger(f'lightning_pose.{__name__}')

# beyond these the page grows too heavy to mail and to scroll
MAX_SHEETS = 12
MAX_SHEET_IMAGES = 32
# `status` of a video that was read to its end
_WHOLE = 'ok'


@dataclass(frozen=True)
class PretrainingPictures:
    """What the pretraining stage hands over to be drawn.

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
    # epochs trained → the same examples as the model reconstructed them then, 0 to 255
    snapshots: Mapping[int, UInt8[np.ndarray, 'examples 3 height width']]
    retrieval_anchors: Float[np.ndarray, 'pairs 3 height width']
    retrieval_nearest: Float[np.ndarray, 'pairs 3 height width']
    retrieval_correct: Bool[np.ndarray, ' pairs']
    retrieval_captions: Sequence[str]
    # CLS tokens
    embeddings: Float[np.ndarray, 'tokens dim']
    embedding_video: Sequence[str]
    # share of the video that lies before the frame, 0 to 1
    embedding_time: Float[np.ndarray, ' tokens']


def write_pretraining_report(
    output_dir: Path, summary: Mapping[str, str], pictures: PretrainingPictures
) -> Path:
    """Write `report.html` and `figures/*.png` for a finished pretraining run.

    Args:
        output_dir: folder of the run, with `metrics.csv`, `videos.csv` and `anchors.csv`.
        summary: what was run: settings, versions, time.
        pictures: what to draw beside the tables.

    Returns:
        The path of the page.

    Raises:
        BeastError: if one of the three tables is missing, empty or lacks a column.
    """
    metrics = _read_table(output_dir / 'metrics.csv')
    videos = _read_table(output_dir / 'videos.csv', needed=('video', 'status'))
    anchors = _read_table(output_dir / 'anchors.csv', needed=('video', 'frame'))
    parts = {
        'summary': _summary_section(summary),
        'training_curves': _curves_section(metrics),
        **_tuning_sections(output_dir / 'tune' / 'tune.csv'),
        **_probe_sections(metrics),
        'reconstructions': _reconstruction_section(pictures),
        **_snapshot_sections(pictures),
        'retrieval': _retrieval_section(metrics, pictures),
        'embedding_map': _map_section(pictures),
        'videos': _videos_section(videos),
        **_sheet_sections(anchors, pictures),
    }
    folder = output_dir / 'figures'
    for name, section in parts.items():
        if section.figure is not None:
            save_figure(section.figure, folder / f'{name}.png')
    _tell_tensorboard(folder, parts, output_dir / 'tb_logs')
    _remove_old_sheets(folder, keep=parts)
    page = output_dir / 'report.html'
    write_page(page, 'BEAST pretraining', list(parts.values()))
    logger.info(f'Report written to {page}')
    return page


def _read_table(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table; names and identifiers stay text even where they look like numbers."""
    try:
        table = pd.read_csv(path, dtype={'video': str, 'video_id': str})
    except (FileNotFoundError, pd.errors.EmptyDataError) as error:
        raise BeastError(
            f'The report needs the table {path}, which is missing or empty: run the pretraining '
            'again, or give its output directory.'
        ) from error
    missing = [name for name in needed if name not in table]
    if missing:
        raise BeastError(
            f'The table {path} lacks {", ".join(missing)} (found {", ".join(table.columns)}): '
            'restore the file that pretraining wrote, or run pretraining again.'
        )
    return table


def _summary_section(summary: Mapping[str, str]) -> Section:
    table = pd.DataFrame({'what': list(summary), 'value': list(summary.values())}, dtype=object)
    return Section('What was run', table=table)


def _curves_section(metrics: pd.DataFrame) -> Section:
    text = (
        'A good run: the losses fall steeply, then flatten, and validation stays close to '
        'training. Validation that rises while training still falls means overfitting (use more '
        'videos or fewer epochs); a loss that jumps or stops means that the learning rate is too '
        'high. The contrastive loss moves by about one nat at most when the temperature is 1, so '
        'a nearly flat curve there is not by itself a fault.\n\n'
        'If much of the time goes into waiting for data, more loader workers will make training '
        'faster.'
    )
    return Section('Training curves', text, training_curves(metrics))


def _reconstruction_section(pictures: PretrainingPictures) -> Section:
    title = 'Reconstruction of hidden patches'
    if not len(pictures.originals):
        return Section(title, 'Nothing to show: this run reconstructed no pictures.')
    text = (
        'The model sees only the patches of the middle picture and fills in the rest. After '
        'enough training the body, its posture and fixed equipment are in the right place; fine '
        'texture (fur, whiskers, noise) stays blurred even in a good model. A uniform grey or '
        'the same average animal in every row means that it has not learned enough yet.'
    )
    drawing = reconstructions(pictures.originals, pictures.masked, pictures.reconstructed)
    return Section(title, text, drawing)


def _snapshot_sections(pictures: PretrainingPictures) -> dict[str, Section]:
    """Return the section of the pictures taken during training, if there were two or more."""
    if len(pictures.snapshots) < 2:
        return {}
    text = (
        'The same frames with the same hidden patches, as training went on. First comes the mean '
        'colour, then the arena, then the animal. If the last columns still differ, more epochs '
        'would still change the model; if they have long been equal, fewer would have done.'
    )
    return {
        'reconstructions_over_epochs': Section(
            'Reconstruction over the epochs',
            text,
            reconstructions_over_epochs(pictures.originals, pictures.masked, pictures.snapshots),
        )
    }


def _probe_sections(metrics: pd.DataFrame) -> dict[str, Section]:
    """Return the section of the probe, if it was measured."""
    if 'probe_px' not in metrics or metrics.dropna(subset=['probe_px']).empty:
        return {}
    last = metrics.dropna(subset=['probe_px']).iloc[-1]
    text = (
        'How well the features, frozen, give away where your labelled keypoints are: a ridge '
        'regression, on labelled frames that it was not fitted to, in pixels of the original '
        'images. A pose model is fine-tuned and much better than this; what counts is that the '
        'line falls below that of the initial weights and far below a constant prediction. If it '
        'does not, pretraining does not help these keypoints.\n\n'
        f'At the end: {last["probe_px"]:.1f} px. With the initial weights: '
        f'{last["probe_start_px"]:.1f} px. A constant prediction: '
        f'{last["probe_constant_px"]:.1f} px.'
    )
    return {'probe': Section('Does it help your keypoints?', text, probe_curve(metrics))}


def _tuning_sections(path: Path) -> dict[str, Section]:
    """Return the section of the runs that chose the contrastive weight, if there were any."""
    if not path.exists():
        return {}
    table = _read_table(path, needed=('contrastive_weight', 'chosen'))
    by_probe = len(table.dropna(subset=['probe_px'])) == len(table)
    text = 'One short run for each weight of the contrastive term. Chosen: ' + (
        'the lowest error of the probe on held-out labelled frames.'
        if by_probe
        else 'the highest share of held-out positives found, since there were too few labelled '
        'frames for the probe.'
    )
    marked = frozenset(np.flatnonzero(table['chosen']).tolist())
    return {
        'tuning': Section(
            'Choice of the contrastive weight', text, tuning_panels(table), table, marked
        )
    }


def _retrieval_section(metrics: pd.DataFrame, pictures: PretrainingPictures) -> Section:
    title = 'Does the model find the neighbouring frame?'
    if not len(pictures.retrieval_anchors):
        return Section(title, 'Nothing to show: this run compared no pairs of frames.')
    text = (
        'Upper pictures: anchor frames. Lower pictures: of all frames compared, the one that the '
        'model finds most similar. Blue: that is indeed the frame just before or after the '
        'anchor (the positive); orange: it is another frame. Mistakes between look-alike '
        'postures are harmless, mistakes between unlike ones are not.'
    )
    return Section(
        title,
        f'{text}\n\n{_retrieval_sentence(metrics)}',
        retrieval_examples(
            pictures.retrieval_anchors,
            pictures.retrieval_nearest,
            pictures.retrieval_correct,
            pictures.retrieval_captions,
        ),
    )


def _retrieval_sentence(metrics: pd.DataFrame) -> str:
    columns = ['val_retrieval', 'val_retrieval_chance']
    rows = metrics.reindex(columns=columns).dropna()
    if rows.empty:
        return 'The share of positives found on validation data was not recorded in this run.'
    found, chance = rows.iloc[-1]
    return (
        f'At the end of training the positive was found for {found:.1%} of the validation '
        f'anchors; guessing would find {chance:.1%} (chance).'
    )


def _map_section(pictures: PretrainingPictures) -> Section:
    title = 'Map of the CLS tokens'
    finite = np.isfinite(pictures.embeddings).all(axis=1)
    if finite.sum() < 3:
        return Section(
            title, f'Nothing to show: a map needs three finite tokens, found {finite.sum()}.'
        )
    text = (
        "Each point is one frame, placed by the two directions in which the tokens (the model's "
        'summary of a whole frame) differ most; frames that look alike to the model lie close '
        'together. Videos that mix mean that the model describes behaviour rather than the '
        'recording; one island for each video means that camera, light or animal dominate. '
        'A smooth gradient in the right map points to a slow drift within the videos.'
    )
    drawing = embedding_map(pictures.embeddings, pictures.embedding_video, pictures.embedding_time)
    return Section(title, text, drawing)


def _videos_section(videos: pd.DataFrame) -> Section:
    statuses = [str(status) for status in videos['status']]
    broken = Counter(status for status in statuses if status != _WHOLE)
    problems = ', '.join(f'{count} {status}' for status, count in broken.most_common())
    text = f'{statuses.count(_WHOLE)} of {len(videos)} videos were read from start to end.'
    if problems:
        text += (
            f' The others ({problems}) come first and are marked: check these files, since '
            'behaviour that occurs only in them is under-represented in the model.'
        )
    # problems first, so that a long table cannot hide them
    order = sorted(range(len(statuses)), key=lambda row: statuses[row] == _WHOLE)
    marked = frozenset(range(broken.total()))
    return Section('Videos', text, table=videos.take(order), marked_rows=marked)


def _sheet_sections(anchors: pd.DataFrame, pictures: PretrainingPictures) -> dict[str, Section]:
    """Return one section for each of the first videos, by the name of its figure file."""
    sheets = {video: sheet for video, sheet in pictures.anchor_sheets.items() if len(sheet[0])}
    shown = min(len(sheets), MAX_SHEETS)
    videos = len({*anchors['video'], *sheets})
    sections = {}
    for index, (video, (images, captions)) in enumerate(list(sheets.items())[:shown]):
        text = [_sheet_sentence(anchors, video, min(len(images), MAX_SHEET_IMAGES))]
        if index == 0:
            text.append(
                'The anchors shall cover what the animal does: many different postures and '
                'places, few near-duplicates. Empty, black or blurred pictures point to parts of '
                'the video that are better cut out.'
            )
            if shown < videos:
                text.append(f'Only {shown} of the {videos} videos with anchors are shown here.')
        sections[_sheet_name(index, video)] = Section(
            f'Anchors: {video}', '\n\n'.join(text), _sheet(images, captions)
        )
    return sections


def _sheet(images: UInt8[np.ndarray, 'n height width 3'], captions: Sequence[str]) -> Figure:
    """Draw the anchors of one video, or as many as fit, spread evenly over them."""
    count = min(len(images), MAX_SHEET_IMAGES)
    chosen = [round(float(index)) for index in np.linspace(0, len(images) - 1, count)]
    return contact_sheet(images[chosen], [captions[index] for index in chosen])


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


def _tell_tensorboard(folder: Path, parts: Mapping[str, Section], logs: Path) -> None:
    """Show the figures of the page in TensorBoard too, beside the curves that training wrote."""
    if not logs.is_dir():
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(logs), filename_suffix='.report') as writer:
        for name, section in parts.items():
            if section.figure is not None:
                with Image.open(folder / f'{name}.png') as picture:
                    writer.add_image(name, np.asarray(picture.convert('RGB')), dataformats='HWC')


def _remove_old_sheets(folder: Path, keep: Mapping[str, Section]) -> None:
    """Remove the sheets of an earlier run in the same folder, which this page does not show."""
    for path in folder.glob('anchors_[0-9][0-9]_*.png'):
        if path.stem not in keep:
            path.unlink()
