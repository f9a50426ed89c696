"""One session, prepared: features of all sources and responses of all neurons in common bins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.activity import Activity
from beast_lp.encoding.align import Aligned, Near, features_digest, features_in, row_width
from beast_lp.encoding.bins import Bins, continuous_bins, responses_in, trial_bins, usable_bins
from beast_lp.encoding.reduce import (
    check_size,
    leading_components,
    scale_units,
    to_one_scale,
)
from beast_lp.encoding.rows import row_times
from beast_lp.encoding.sources import numbers_of
from beast_lp.encoding.split import (
    Folds,
    fold_blocks,
    fold_trials,
    keep_apart,
    number_blocks,
)
from beast_lp.errors import BeastError
from beast_lp.features.frames import FrameFeatures
from beast_lp.runs.keys import digest

# from bins, settings and a seed to the fold of each bin
Split = Callable[[Bins, EncodingConfig, int], Int[np.ndarray, ' bins']]


@dataclass(frozen=True)
class Session:
    """Data of one session, as encoders take them.

    Attributes:
        name: name of the session.
        bins: bins that have features of every source.
        folds: fold of each bin.
        unit: trial of each bin, or its block of time in a continuous recording.
        responses: spike counts or traces.
        is_counts: whether the responses are spike counts; traces otherwise.
        names: names of the neurons.
        regions: brain regions of the neurons, empty where unknown.
        features: components by source, by descending variance; that of the first is 1.
        digests: hash of the features and their times as they were read, by source.
        notes: sentences about what was left out or assumed.
    """

    name: str
    bins: Bins
    folds: Folds
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
            source: name of a source; any other name stands for results that depend on time alone.
        """
        content = digest(self.digests.get(source, '').encode())
        folds = self.folds.fold, self.folds.core
        for array in (self.bins.times, self.bins.group, *folds, self.unit, self.responses):
            content.update(str((array.shape, array.dtype)).encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()

    @property
    def is_trials(self) -> bool:
        """Whether the bins are those of trials."""
        return np.array_equal(self.unit, self.bins.group)

    @property
    def clock(self) -> Float[np.ndarray, ' bins']:
        """Seconds by which drift is counted, as if trials followed each other evenly."""
        times = self.bins.times
        return np.linspace(times[0], times[-1], len(times)) if self.is_trials else times


def prepare_session(
    name: str,
    activity: Activity,
    features: Mapping[str, Sequence[FrameFeatures]],
    config: EncodingConfig,
    seed: int,
    split: Split | None = None,
) -> Session:
    """Align the features and neurons of a session to one clock, and split it.

    Args:
        name: name of the session.
        activity: neurons of the session.
        features: features of each view, by source.
        config: settings of the stage.
        seed: seed of the split.
        split: function that replaces the split of the settings.

    Returns:
        the session; its bins are those in which every source has features, so that all sources are
        scored on the same spikes.

    Raises:
        BeastError: if the clocks, the split or the neurons leave nothing to work on.
    """
    trials = bool(config.trials.events)
    events = _events(name, config)
    rows = row_times(name, activity, features, events, config)
    notes = [rows.note] if rows.note else []
    camera, width = rows.span, config.bin_ms / 1000
    if events is not None:
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

    arrays = {source: [view.values for view in views] for source, views in features.items()}
    near = {source: rows.near(source, views, every, config) for source, views in features.items()}
    known = np.all([frames.known for frames in near.values()], axis=0)
    bins = usable_bins(every, known, trials)
    if len(bins) < len(every):
        notes.append(
            f'{len(every) - len(bins)} of {len(every)} bins have no frame within '
            f'beast.encoding.max_gap_s, {config.max_gap_s:g} s'
        )
    chosen = np.isin(every.times, bins.times)
    responses = responses_in(activity, bins)
    fold = (split or split_session)(bins, config, seed)
    folds = keep_apart(bins, fold, 0.0 if trials else config.split.gap_s)
    kept, note = fast_enough(activity, responses, folds, bins.width, config.min_rate_hz)
    notes += [note] if note else []
    return Session(
        name=name,
        bins=bins,
        folds=folds,
        unit=bins.group if trials else number_blocks(bins, config.split.block_s),
        responses=responses[:, kept],
        is_counts=activity.is_counts,
        names=activity.names[kept],
        regions=activity.regions[kept],
        features={
            source: _components(source, views, near[source].part(chosen), config)
            for source, views in features.items()
        },
        digests={
            source: features_digest(arrays[source], rows.times[source]) for source in features
        },
        notes=tuple(notes),
    )


def _components(
    source: str,
    views: Sequence[FrameFeatures],
    near: Near,
    config: EncodingConfig,
) -> Float[np.ndarray, 'bins components']:
    """Return the components of a source in the bins that are used, on one scale.

    Keypoints, which are few, are all kept.
    """
    network = [view.values for view in views if not view.is_keypoints]
    parts = []
    if network:
        check_size(source, len(near.known), row_width(network))
        parts.append(leading_components(Aligned(network, near), config.components))
    for view in views:
        if view.is_keypoints:
            values = features_in([view.values], near)
            units = np.zeros(values.shape[1], dtype=int) if view.units is None else view.units
            parts.append(scale_units(values, units))
    return to_one_scale(parts)


def fast_enough(
    activity: Activity,
    responses: Float[np.ndarray, 'bins neurons'],
    folds: Folds,
    width: float,
    min_rate_hz: float,
) -> tuple[Bool[np.ndarray, ' neurons'], str]:
    """Choose the neurons that fire often enough, or the traces that ever change.

    Args:
        activity: neurons of the session, for messages.
        responses: responses in the bins that are used.
        folds: folds of these bins; a neuron counts by the bins that each fold is fitted to, and is
            kept if it fires often enough in all of these.
        width: width of a bin in seconds.
        min_rate_hz: least mean rate of a neuron that is kept; silent neurons never are.

    Returns:
        whether each neuron is kept, and a sentence about the others (empty if there are none).

    Raises:
        BeastError: if none is kept.
    """
    if not activity.is_counts:
        kept = np.min([one.std(axis=0) for one in _training(responses, folds)], axis=0) > 0
        if not kept.any():
            raise BeastError(f'none of the traces in {activity.source} ever changes; check it')
        flat = int((~kept).sum())
        return kept, f'{flat} of {len(kept)} traces never change' if flat else ''
    rate = np.min([one.mean(axis=0) for one in _training(responses, folds)], axis=0) / width
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


def _events(name: str, config: EncodingConfig) -> Float[np.ndarray, ' events'] | None:
    """Return the seconds of a session's events; None for a continuous recording."""
    if not config.trials.events:
        return None
    return numbers_of(Path(config.trials.events).expanduser(), name, 'event times')[0]


def _training(
    responses: Float[np.ndarray, 'bins neurons'],
    folds: Folds,
) -> list[Float[np.ndarray, 'bins neurons']]:
    return [responses[folds.without(number)] for number in range(folds.count)]


def split_session(bins: Bins, config: EncodingConfig, seed: int) -> Int[np.ndarray, ' bins']:
    """Split whole trials, or blocks of a continuous recording, as the settings say.

    Args:
        bins: bins of the session.
        config: settings of the stage.
        seed: seed of the split.

    Returns:
        the fold of each bin.
    """
    split = config.split
    if config.trials.events:
        return fold_trials(bins.group, split.folds, seed)
    return fold_blocks(bins, split.folds, split.block_s, seed)
