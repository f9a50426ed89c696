"""Smoothing against brute force."""

import itertools
from dataclasses import fields

import numpy as np

from beast_lp.config.segmentation import DecodingConfig
from beast_lp.config.setting import declaration
from beast_lp.segmentation.bouts import Bout, find_bouts
from beast_lp.segmentation.decode import DECODERS, decode, drop_short_bouts, viterbi


def test_bouts_cover_all_frames() -> None:
    assert find_bouts(np.array([1, 1, 0, 2])) == [Bout(1, 0, 2), Bout(0, 2, 3), Bout(2, 3, 4)]
    assert find_bouts(np.zeros(0, dtype=int)) == []


def test_viterbi_is_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(1)
    for stay in (0.4, 0.8, 0.99):
        probabilities = rng.dirichlet(np.ones(3) * 0.7, size=7)

        def score(
            path: tuple[int, ...],
            stay: float = stay,
            rows: np.ndarray = probabilities,
        ) -> float:
            evidence = sum(np.log(rows[frame, label]) for frame, label in enumerate(path))
            return evidence + sum(
                np.log(stay if a == b else (1 - stay) / 2) for a, b in itertools.pairwise(path)
            )

        best = max(itertools.product(range(3), repeat=7), key=score)
        assert viterbi(probabilities, stay).tolist() == list(best)


def test_short_bouts_go_to_the_likelier_neighbour() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2, 2])
    probabilities = np.full((7, 3), 0.1)
    probabilities[3] = [0.2, 0.5, 0.3]
    assert drop_short_bouts(labels, probabilities, 2).tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert drop_short_bouts(labels, probabilities, 1).tolist() == labels.tolist()


def test_no_bout_is_too_short_afterwards() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(4), size=300)
    labels = decode(probabilities, DecodingConfig(min_bout_frames=5))
    assert min(len(bout) for bout in find_bouts(labels)) >= 5
    assert len(find_bouts(labels)) > 5
    one = drop_short_bouts(np.array([1, 1]), probabilities[:2], 5)
    assert one.tolist() == [1, 1]


def test_short_bouts_go_in_the_order_of_a_loop_that_starts_anew_each_time() -> None:
    rng = np.random.default_rng(5)
    for least in (2, 3, 7, 40):
        probabilities = rng.dirichlet(np.ones(3), size=60)
        labels = probabilities.argmax(axis=1)
        expected = labels.copy()
        while len(bouts := find_bouts(expected)) > 1:
            place = min(range(len(bouts)), key=lambda i: len(bouts[i]))
            bout, frames = bouts[place], slice(bouts[place].start, bouts[place].stop)
            if len(bout) >= least:
                break
            around = [
                b.label for b in (*bouts[max(0, place - 1) : place], *bouts[place + 1 :][:1])
            ]
            expected[frames] = max(around, key=lambda i: probabilities[frames, i].sum())
        assert drop_short_bouts(labels, probabilities, least).tolist() == expected.tolist()


def test_no_smoothing_is_the_most_probable_class() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    labels = decode(probabilities, DecodingConfig())
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))
    assert len(decode(np.zeros((0, 3)), DecodingConfig('viterbi'))) == 0


def test_the_schema_offers_every_decoder() -> None:
    (method,) = (item for item in fields(DecodingConfig) if item.name == 'method')
    assert set(declaration(method).choices or ()) == DECODERS.keys()
