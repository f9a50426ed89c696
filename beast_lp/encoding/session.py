"""One session made ready: every source's features and the neurons' responses in the same bins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.align import (
    Aligned,
    Bins,
    Near,
    continuous_bins,
    features_digest,
    features_in,
    frames_near,
    responses_in,
    row_width,
    trial_bins,
    usable_bins,
)
from beast_lp.encoding.reduce import check_size, leading_components
from beast_lp.encoding.samples import Samples
from beast_lp.encoding.sources import FrameFeatures, frame_times, numbers_of
from beast_lp.encoding.spikes import Activity
from beast_lp.encoding.split import (
    TEST,
    TRAIN,
    VALIDATION,
    number_blocks,
    split_blocks,
    split_every,
    split_trials,
)
from beast_lp.errors import BeastError
from beast_lp.runs.keys import digest


@dataclass(frozen=True)
class Session:
    """Everything about one session but the encoders.

    Attributes:
        name: of the session.
        bins: when; all have features of every source.
        part: of each bin (`split.TRAIN`, ...).
        unit: the trial of each bin, or in a continuous recording its block of time.
        responses: spike counts or traces.
        is_counts: which of the two.
        names: of the neurons.
        regions: of the neurons, empty where unknown.
        features: by source; the leading components, where there are many.
        digests: by source, of its features and their times as they were read.
        notes: sentences about what was left out, and what was taken for granted.
    """

    name: str
    bins: Bins
    part: Int[np.ndarray, ' bins']
    unit: Int[np.ndarray, ' bins']
    responses: Float[np.ndarray, 'bins neurons']
    is_counts: bool
    names: Shaped[np.ndarray, ' neurons']
    regions: Shaped[np.ndarray, ' neurons']
    features: Mapping[str, Float[np.ndarray, 'bins features']]
    digests: Mapping[str, str]
    notes: tuple[str, ...]

    def digest(self, source: str) -> str:
        """Return a hash of all data that the results of a source depend on.

        Args:
            source: of features; any other name stands for what depends on the time alone.
        """
        content = digest(self.digests.get(source, '').encode())
        for array in (self.bins.times, self.bins.group, self.part, self.unit, self.responses):
            content.update(str((array.shape, array.dtype)).encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()

    def samples(
        self,
        features: Float[np.ndarray, 'bins features'],
        order: Int[np.ndarray, ' bins'] | None = None,
    ) -> dict[int, Samples]:
        """Return the three parts.

        Args:
            features: of all bins.
            order: for each bin the bin whose responses it gets; None for its own.
        """
        responses = self.responses if order is None else self.responses[order]
        every = Samples(features, responses, self.bins.group)
        return {part: every.part(self.part == part) for part in (TRAIN, VALIDATION, TEST)}


def prepare_session(
    name: str,
    activity: Activity,
    features: Mapping[str, FrameFeatures],
    config: EncodingConfig,
    seed: int,
) -> Session:
    """Put the features and the neurons of a session on one clock and split it.

    Args:
        name: of the session.
        activity: its neurons.
        features: by source.
        config: settings of the stage.
        seed: of the split.

    Returns:
        the session; its bins are those in which every source has features, so that all are judged
        by the same spikes.

    Raises:
        BeastError: if the clocks, the split or the neurons leave nothing to work on.
    """
    times, note = _times(name, activity, features, config)
    notes = [note] if note else []
    camera = float(times[0]), float(times[-1])
    trials = bool(config.trials.events)
    width = config.bin_ms / 1000
    if config.trials.events:
        events, _ = numbers_of(Path(config.trials.events).expanduser(), name, 'event times')
        window = config.trials.window[0], config.trials.window[1]
        every = trial_bins(activity, camera, events, window, width)
        used = len(np.unique(every.group))
        if used < len(events):
            notes.append(
                f'{len(events) - used} of {len(events)} events have no whole window '
                'inside the recording, or overlap the trial before'
            )
    else:
        every = continuous_bins(activity, camera, width)

    near = {
        source: frames_near(
            item.arrays, times[item.frame], every, config.interpolation, config.max_gap_s
        )
        for source, item in features.items()
    }
    known = np.all([frames.known for frames in near.values()], axis=0)
    bins = usable_bins(every, known, trials)
    if len(bins) < len(every):
        notes.append(
            f'{len(every) - len(bins)} of {len(every)} bins have no frame near them '
            f'(further than beast.encoding.max_gap_s, {config.max_gap_s:g} s)'
        )
    chosen = np.isin(every.times, bins.times)
    responses = responses_in(activity, bins)
    kept, note = fast_enough(activity, responses, bins.width, config.min_rate_hz)
    notes += [note] if note else []
    part = _split(bins, config, seed)
    return Session(
        name=name,
        bins=bins,
        part=part,
        unit=bins.group if trials else number_blocks(bins, config.split.block_s),
        responses=responses[:, kept],
        is_counts=activity.is_counts,
        names=activity.names[kept],
        regions=activity.regions[kept],
        features={
            source: _components(source, item, near[source].part(chosen), part == TRAIN, config)
            for source, item in features.items()
        },
        digests={
            source: features_digest(item.arrays, times[item.frame])
            for source, item in features.items()
        },
        notes=tuple(notes),
    )


def _components(
    source: str,
    features: FrameFeatures,
    near: Near,
    train: Bool[np.ndarray, ' bins'],
    config: EncodingConfig,
) -> Float[np.ndarray, 'bins components']:
    """Return the features of a source in the bins that are used, or their leading components.

    Keypoints stay as they are: they are few, and their velocities have another unit.
    """
    made = list(zip(features.arrays, features.made_by, strict=True))
    network = [array for array, made_by in made if made_by]
    keypoints = [array for array, made_by in made if not made_by]
    parts = []
    if network:
        check_size(source, int(train.sum()), row_width(network), config.components)
        parts.append(leading_components(Aligned(network, near), train, config.components))
    if keypoints:
        parts.append(features_in(keypoints, near))
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def fast_enough(
    activity: Activity,
    responses: Float[np.ndarray, 'bins neurons'],
    width: float,
    min_rate_hz: float,
) -> tuple[Bool[np.ndarray, ' neurons'], str]:
    """Choose the neurons that fire often enough; of traces, those that change at all.

    Args:
        activity: of the session, for messages.
        responses: in the bins that are used.
        width: of a bin in seconds.
        min_rate_hz: slower neurons go; silent ones always do.

    Returns:
        which neurons stay, and a sentence about the others (empty if there are none).

    Raises:
        BeastError: if none stays.
    """
    if not activity.is_counts:
        kept = responses.std(axis=0) > 0
        if not kept.any():
            raise BeastError(f'none of the traces in {activity.source} ever changes; check it')
        flat = int((~kept).sum())
        return kept, f'{flat} of {len(kept)} traces never change' if flat else ''
    rate = responses.mean(axis=0) / width
    silent = rate == 0
    kept = (rate >= min_rate_hz) & ~silent
    if not kept.any():
        raise BeastError(
            f'no neuron of {activity.source} fires at {min_rate_hz:g} Hz or more while the camera '
            f'runs (the fastest of {len(rate)}: {rate.max(initial=0):.2g} Hz, {silent.sum()} '
            'never fire); lower beast.encoding.min_rate_hz, or check that the clocks agree '
            '(beast.encoding.clock_offset_s)'
        )
    if kept.all():
        return kept, ''
    slow = int((~kept & ~silent).sum())
    return kept, (
        f'{int((~kept).sum())} of {len(kept)} neurons were left out: {int(silent.sum())} never '
        f'fire in these bins, {slow} fire below {min_rate_hz:g} Hz'
    )


def _times(
    name: str,
    activity: Activity,
    features: Mapping[str, FrameFeatures],
    config: EncodingConfig,
) -> tuple[Float[np.ndarray, ' frames'], str]:
    lengths = {source: item.frames_in_video for source, item in features.items()}
    if len(set(lengths.values())) > 1:
        found = ', '.join(f'{source} {length}' for source, length in lengths.items())
        raise BeastError(
            f'the features of session {name!r} belong to videos of different lengths ({found} '
            'frames); give features of one and the same video'
        )
    camera = Path(config.camera_times).expanduser() if config.camera_times else None
    return frame_times(name, activity, list(features.values()), camera, config.clock_offset_s)


def _split(bins: Bins, config: EncodingConfig, seed: int) -> Int[np.ndarray, ' bins']:
    split = config.split
    shares = split.train, split.validation, 1 - split.train - split.validation
    if config.trials.events:
        return split_trials(bins.group, shares, seed)
    if split.test_every:
        return split_every(bins, split.test_every, split.validation, split.block_s, split.gap_s)
    return split_blocks(bins, shares, split.block_s, split.gap_s, seed)
