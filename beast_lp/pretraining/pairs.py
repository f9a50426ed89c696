"""Anchor-positive pairs on the window store: sampler, dataset and loader.

Adding a new choice of the positive:

1. write a function like `_anywhere` that takes the anchors and their videos and returns a `Choose`
2. enter it in `POSITIVES` by its name
3. add the name and its help to the choices of `PairConfig.positive` in
   `beast_lp/config/pretraining.py`, and test it in `tests/pretraining/test_pairs.py`
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from beast_lp.errors import BeastError
from beast_lp.runs.seeds import numpy_generator
from beast_lp.video.batches import batch_bounds
from beast_lp.video.window_store import WindowStore
from beast_lp.video.workers import shared_memory_sentence


class Pair(NamedTuple):
    """An anchor's window, and the frame that is its positive."""

    anchor: int
    # window of the positive, and the frame's place in it: -1 (t-k), 0 (its anchor) or 1 (t+k)
    window: int
    offset: int


class WindowPairs(Dataset[Tensor]):
    """Map-style dataset from a `Pair` to its two frames."""

    def __init__(self, store: WindowStore, size: tuple[int, int]) -> None:
        """Read from a store at a fixed size.

        Args:
            store: the window store.
            size: (height, width) in px of the frames returned.
        """
        self.store = store
        self.size = size

    def __getitem__(self, pair: Pair) -> UInt8[Tensor, '2 height width 3']:
        """Return the anchor and its positive."""
        if pair.window == pair.anchor:
            frames = self.store.read(pair.anchor, (0, pair.offset), self.size)
        else:
            frames = np.concatenate(
                [
                    self.store.read(pair.anchor, (0,), self.size),
                    self.store.read(pair.window, (pair.offset,), self.size),
                ]
            )
        return torch.from_numpy(frames)


# from an anchor and two random draws, a side (-1 or 1) and a number in [0, 1), to its pair
Choose = Callable[[int, int, float], Pair]


def _adjacent(anchors: np.ndarray, videos: np.ndarray) -> Choose:
    """Choose t-k or t+k (paper)."""
    return lambda anchor, side, number: Pair(anchor, anchor, side)


def _anywhere(anchors: np.ndarray, videos: np.ndarray) -> Choose:
    """Choose another anchor of the same video (the VIC-MAE rule).

    Raises:
        BeastError: if a video has only one anchor.
    """
    groups = _same_video(anchors, videos)

    def choose(anchor: int, side: int, number: float) -> Pair:
        group, place = groups[anchor]
        chosen = int(number * (len(group) - 1))
        # the others are all but the anchor itself
        return Pair(anchor, int(group[chosen + (chosen >= place)]), 0)

    return choose


# by their names in `beast.pairs.positive`
POSITIVES: dict[str, Callable[[np.ndarray, np.ndarray], Choose]] = {
    'adjacent': _adjacent,
    'anywhere': _anywhere,
}


class PairSampler(Sampler[Pair]):
    """Visits every anchor once an epoch, in a seeded order that mixes the videos.

    Where an epoch has another number of places than there are anchors, these take turns over the
    epochs: none comes again before all others have come. Projects that are trained on together
    have the same number of places in an epoch and in every stretch of it: the anchors of a small
    project come several times, those of a large one take turns. Ranks take disjoint, equally long
    shares; where the anchors do not divide evenly, the last few of the epoch's order (fewer than
    the ranks) wait for another epoch.
    """

    def __init__(
        self,
        anchors: np.ndarray,
        videos: np.ndarray,
        positive: str,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        projects: np.ndarray | None = None,
        epoch_pairs: int | None = None,
    ) -> None:
        """Sample from the given anchors.

        Args:
            anchors: windows of the store, integer of shape (anchors,).
            videos: video of each anchor, any comparable of shape (anchors,).
            positive: choice of the positive, a key of `POSITIVES`.
            seed: seed of the run.
            rank: rank of this process.
            world_size: number of processes.
            projects: project of each anchor, any comparable of shape (anchors,); None for one
                project.
            epoch_pairs: pairs of an epoch over all ranks; None for one pass over the anchors.

        Raises:
            BeastError: if the anchors do not allow this choice of the positive.
        """
        self.anchors = anchors
        self._projects = (
            [anchors]
            if projects is None
            else [anchors[projects == project] for project in np.unique(projects)]
        )
        self._epoch_pairs = epoch_pairs
        self._choose = POSITIVES[positive](anchors, videos)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self._skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def skip_once(self, pairs: int) -> None:
        """Leave out the first pairs of the next pass, which an interrupted run has trained on."""
        self._skip = pairs

    @property
    def left(self) -> int:
        """Pairs of this rank in the next pass."""
        return max(0, len(self) - self._skip)

    def __len__(self) -> int:
        """Return the number of anchors of this rank in an epoch."""
        return self._places() // self.world_size

    def __iter__(self) -> Iterator[Pair]:
        """Yield this rank's pairs of the epoch."""
        draw = numpy_generator(self.seed, 'pairs', self.epoch)
        if len(self._projects) == 1 and self._epoch_pairs is None:
            order = draw.permutation(self.anchors)
        else:
            order = self._balanced(draw)
        sides = draw.choice((-1, 1), size=len(order))
        numbers = draw.random(len(order))
        skip, self._skip = self._skip, 0
        for i in range(self.rank, len(self) * self.world_size, self.world_size)[skip:]:
            yield self._choose(int(order[i]), int(sides[i]), float(numbers[i]))

    def _places(self) -> int:
        """Return the places of an epoch, rounded up to equal shares of the projects."""
        pairs = len(self.anchors) if self._epoch_pairs is None else self._epoch_pairs
        return math.ceil(pairs / len(self._projects)) * len(self._projects)

    def _balanced(self, draw: np.random.Generator) -> np.ndarray:
        """Return anchors of all projects in turn, each turn in its own order."""
        share = self._places() // len(self._projects)
        turns = np.stack(
            [
                _endless_order(anchors, share * self.epoch, share, (self.seed, 'project', number))
                for number, anchors in enumerate(self._projects)
            ],
            axis=1,
        )
        return draw.permuted(turns, axis=1).ravel()


class BatchReader(Protocol):
    """Reader of the batches of an epoch; each pass starts at the sampler's state at that time."""

    def __len__(self) -> int:
        """Return the batches of a whole epoch."""
        ...

    def __iter__(self) -> Iterator[UInt8[Tensor, 'pairs 2 height width 3']]:
        """Yield the batches."""
        ...


class PairLoader:
    """Batches of a sampler's pairs, from any reader, resumable within an epoch.

    Lightning sets the epoch of `sampler`, and saves and loads this object's state.
    """

    def __init__(self, reader: BatchReader, sampler: PairSampler, batch_size: int) -> None:
        """Load with a reader.

        Args:
            reader: reader of the pairs of `sampler`, in its order.
            sampler: sampler of this rank.
            batch_size: pairs that a batch of the reader should have.
        """
        self.reader = reader
        self.sampler = sampler
        self._bounds = batch_bounds(len(sampler), batch_size)
        # batches trained on in this epoch, and how many of them before a resume
        self._batches = self._earlier = 0

    def __len__(self) -> int:
        """Return the batches of a whole epoch."""
        return len(self.reader)

    def __iter__(self) -> Iterator[UInt8[Tensor, 'pairs 2 height width 3']]:
        """Yield the batches that are left of the epoch, and count them."""
        # here and not at the end: Lightning stops after the last batch without asking for another
        self._batches, self._earlier = self._earlier, 0
        with shared_memory_sentence():
            for batch in self.reader:
                self._batches += 1
                yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and number of the next batch, and the number of processes."""
        done = self._batches == len(self)
        return {
            'epoch': self.sampler.epoch + done,
            'batches': 0 if done else self._batches,
            'processes': self.sampler.world_size,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume there. Worker processes start to read at once, so they need the epoch.

        Raises:
            BeastError: if the number of processes differs, which changes the batches.
        """
        # missing in older checkpoints
        before, now = state.get('processes', self.sampler.world_size), self.sampler.world_size
        if before != now:
            raise BeastError(
                f'this run was started by {before} process{"es" * (before > 1)} and cannot be '
                f'resumed by {now}; restore training.num_gpus and beast.num_nodes, or give '
                'another --output_dir'
            )
        # an older version made one batch more of the same pairs
        self._batches = self._earlier = min(state['batches'], len(self))
        self.sampler.set_epoch(state['epoch'])
        self.sampler.skip_once(self._bounds[self._batches])


def validation_pairs(
    anchors: np.ndarray, videos: np.ndarray, positive: str, seed: int
) -> list[Pair]:
    """Return one fixed pair for every held-out anchor, by the rule of the training.

    Both frames are held out. The only held-out anchor of a video has none to be paired with
    from anywhere, and gets t-k or t+k.

    Args:
        anchors: held-out windows of the store, integer of shape (anchors,).
        videos: video of each anchor, any comparable of shape (anchors,).
        positive: choice of the positive, a key of `POSITIVES`.
        seed: seed of the run.
    """
    draw = numpy_generator(seed, 'validation')
    sides = draw.choice((-1, 1), size=len(anchors))
    numbers = draw.random(len(anchors))
    _, video, counts = np.unique(videos, return_inverse=True, return_counts=True)
    alone = counts[video] == 1
    choose = POSITIVES[positive](anchors[~alone], videos[~alone])
    choose_alone = _adjacent(anchors, videos)
    return [
        (choose_alone if lonely else choose)(int(anchor), int(side), float(number))
        for anchor, side, number, lonely in zip(anchors, sides, numbers, alone, strict=True)
    ]


def _endless_order(
    anchors: np.ndarray,
    start: int,
    count: int,
    key: tuple[int | str, ...],
) -> np.ndarray:
    """Return a stretch of an endless order in which all anchors come before any comes again.

    Args:
        anchors: integer of shape (anchors,).
        start: first place in the order.
        count: number of places.
        key: key of the random draws.
    """
    first, last = start // len(anchors), (start + count - 1) // len(anchors)
    passes = [
        numpy_generator(*key, number).permutation(anchors) for number in range(first, last + 1)
    ]
    begin = start - first * len(anchors)
    return np.concatenate(passes)[begin : begin + count]


def _same_video(
    anchors: np.ndarray,
    videos: np.ndarray,
) -> dict[int, tuple[np.ndarray, int]]:
    """Return, for each anchor, all anchors of its video (a shared array) and its place there.

    Raises:
        BeastError: if a video has only one anchor.
    """
    names, video, counts = np.unique(videos, return_inverse=True, return_counts=True)
    if counts.min(initial=2) < 2:
        raise BeastError(
            'beast.pairs.positive=anywhere needs two anchors of every video, but '
            f'{names[counts.argmin()]} has one; leave that video out or use '
            'beast.pairs.positive=adjacent'
        )
    by_video = np.split(anchors[np.argsort(video, kind='stable')], np.cumsum(counts)[:-1])
    return {
        int(anchor): (group, place) for group in by_video for place, anchor in enumerate(group)
    }
