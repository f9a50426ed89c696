"""Sections of the pretraining report that show what the model does with frames.

Adding a new section: write a function that yields it, or nothing where the run has nothing to
show, and enter it in `pretraining._SECTIONS`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from beast_lp.reports.embedding_map import embedding_map
from beast_lp.reports.page import Section
from beast_lp.reports.pretraining_content import PretrainingPictures, PretrainingRun
from beast_lp.reports.pretraining_pictures import (
    reconstructions,
    reconstructions_over_epochs,
    retrieval_examples,
)
from beast_lp.reports.style import three_digits


def reconstructions_section(run: PretrainingRun) -> Iterator[Section]:
    """Show what the model fills into hidden patches."""
    title, pictures = 'Reconstruction of hidden patches', run.pictures
    if not len(pictures.originals):
        yield Section(title, 'Nothing to show: this run reconstructed no pictures.')
        return
    text = (
        'The model sees only the visible patches, in the middle, and fills in the rest. After '
        'enough training the body, its posture and fixed equipment are in the right place; fine '
        'texture (fur, whiskers, noise) stays blurred even in a good model. A uniform grey or '
        'the same average animal in every row means that it has not learned enough yet.'
    )
    drawing = reconstructions(pictures.originals, pictures.masked, pictures.reconstructed)
    yield Section(title, text, {'reconstructions': drawing})


def snapshots_section(run: PretrainingRun) -> Iterator[Section]:
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


def retrieval_section(run: PretrainingRun) -> Iterator[Section]:
    """Show which frames the model takes for neighbours, and how often it is right."""
    title, pictures = 'Retrieval of the neighbouring frame', run.pictures
    if not len(pictures.retrieval_anchors):
        yield Section(title, 'Nothing to show: this run compared no pairs of frames.')
        return
    text = (
        'Upper pictures: anchors. Lower pictures: the frame that the model finds most similar, of '
        'all frames compared. Blue: this is indeed the positive, the frame just before or after '
        'the anchor; orange: it is another frame. Mistakes between look-alike postures are '
        'harmless, mistakes between unlike ones are not.'
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
            'pairs': [pictures.retrieval_pairs] * (len(found) + 1),
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
        'apart. No positive further away is known that would make a harder test. The table has '
        f'the shares on whole frames, among {pictures.retrieval_pairs} pairs (chance: {chance} '
        '%); the projection is what the contrastive loss compares, made from CLS.'
    )


def map_section(run: PretrainingRun) -> Iterator[Section]:
    """Show how the tokens of all frames lie to each other."""
    title, pictures = 'Map of the frames', run.pictures
    finite = np.isfinite(pictures.embeddings).all(axis=1).sum()
    if finite < 3:
        yield Section(title, f'Nothing to show: a map needs three finite tokens, found {finite}.')
        return
    text = (
        'Each point is one frame, placed by the two directions in which the CLS tokens differ '
        'most; frames that look alike to the model lie close together. Videos that mix mean that '
        'the model describes behaviour rather than the recording; one island for each video means '
        'that camera, light or animal dominate. A smooth gradient in the right map points to a '
        'slow drift within the videos.'
    )
    drawing = embedding_map(pictures.embeddings, pictures.embedding_video, pictures.embedding_time)
    yield Section(title, text, {'embedding_map': drawing})
