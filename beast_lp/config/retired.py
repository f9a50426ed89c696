"""Settings that older versions had, and the values that the code uses in their place.

A config that names one with that very value still works, and a run that was made with it is still
the same run. Any other value is refused with a sentence.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from beast_lp.errors import BeastError

if TYPE_CHECKING:
    from beast_lp.config.parse import BeastConfig

# name in a config -> value, or a function from the configuration to it
RETIRED: dict[str, Any | Callable[['BeastConfig'], Any]] = {
    'beast.anchors.total': None,
    'beast.anchors.motion_percentile': None,
    'beast.anchors.min_spacing': 3,
    'beast.windows.codec': 'h264',
    'beast.windows.crf': 8,
    'beast.segmentation.label_format': 'auto',
    'beast.segmentation.patch_dim': None,
    'beast.segmentation.seed': lambda config: config.seed,
    'beast.segmentation.split.block_frames': 150,
    'beast.segmentation.split.gap_frames': 15,
    # of other splits it was never read, so that old files hold its default
    'beast.segmentation.split.test_every': lambda config: (
        config.segmentation.split.folds if config.segmentation.split.by == 'block' else 4
    ),
    'beast.segmentation.head.pooled_size': 64,
    'beast.segmentation.head.heads': 8,
    'beast.segmentation.head.dropout': 0.1,
    'beast.segmentation.fitting.weight_decay': 0.01,
    'beast.segmentation.fitting.loss': 'cross_entropy',
    'beast.segmentation.fitting.focal_gamma': 2.0,
    'beast.segmentation.fitting.class_weights': 'balanced',
    'beast.segmentation.fitting.sampling': 'sequential',
    'beast.segmentation.fitting.time_stretch': 0.0,
    'beast.segmentation.fitting.unfreeze_layers': 0,
    'beast.segmentation.fitting.unfrozen_rate': 0.1,
    'beast.segmentation.decoding.stay': 0.95,
    'beast.encoding.split.gap_s': lambda config: config.encoding.split.gap_s,
    'beast.encoding.split.test_every': None,
    'beast.encoding.split.train': 0.7,
    'beast.encoding.split.validation': 0.1,
    'beast.encoding.linear.penalties': [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
    'beast.encoding.linear.ranks': [3, 6, 12, 24],
    'beast.encoding.linear.poisson_penalties': [3.0, 1.0, 0.3, 0.1, 0.03, 0.01],
    'beast.encoding.linear.poisson_rank': 12,
    'beast.encoding.trial_rrr.rank': 3,
    'beast.encoding.trial_rrr.l2': 100.0,
    'beast.encoding.trial_rrr.learning_rates': [1.0, 0.3, 0.1],
    'beast.encoding.tcn.learning_rates': [0.001],
    'beast.encoding.tcn.epochs': 100,
    'beast.encoding.tcn.kernel': 201,
    'beast.encoding.controls.least_shift_s': 10.0,
    'beast.encoding.controls.drift_s': 60.0,
    'beast.encoding.interpolation': 'linear',
    'beast.tune_epochs': None,
    'beast.pairs.exclude_within': 0,
    'beast.augmentation.flip_vertical': 0.0,
    'beast.augmentation.crop_pad_fraction': 0.15,
    'beast.model.num_heads': lambda config: config.model.num_heads,
    'beast.model.mlp_size': lambda config: config.model.mlp_size,
    'beast.model.decoder_num_heads': lambda config: config.model.decoder_num_heads,
    'beast.model.decoder_mlp_size': lambda config: config.model.decoder_mlp_size,
    # it was the peak for 256 frames
    'beast.training.learning_rate': lambda config: (
        config.training.peak_learning_rate * 256 / config.training.batch_size
    ),
    'beast.training.last_batch': 'keep',
    'beast.training.warmup_fraction': 0.15,
    'beast.training.floor_fraction': 0.1,
    'beast.training.compile': False,
    'beast.training.validation': 'auto',
    'beast.training.checkpoint_epochs': None,
    'beast.probe.features': 'patches',
}

# what is given in place of a setting that was renamed
RENAMED = {
    'beast.training.learning_rate': 'beast.training.peak_learning_rate (the rate as it is used in '
    'a step of batch_size frames: the old value * batch_size / 256)',
}


def value_of(key: str, config: 'BeastConfig') -> Any:
    """Return the value that the code uses in place of a retired setting.

    Args:
        key: name of the setting in full, such as `beast.training.last_batch`.
        config: configuration that the value may depend on.
    """
    value = RETIRED[key]
    return value(config) if callable(value) else value


def check_retired(given: Mapping[str, Any], config: 'BeastConfig') -> None:
    """Refuse retired settings whose values are not those that the code uses.

    Args:
        given: values of retired settings by their names in full.
        config: configuration that they were given beside.

    Raises:
        BeastError: if some have other values; the message names all of them, so that a config of
            an older version is mended in one go.
    """
    in_use = {key: value_of(key, config) for key in given}
    changed = [key for key, value in given.items() if value != in_use[key]]
    if not changed:
        return
    for key in changed:
        if key in RENAMED:
            raise BeastError(
                f'{key} is no longer a setting, found {given[key]!r}; give {RENAMED[key]} instead'
            )
    first, *others = changed
    also = ', '.join(f'{key} (always {in_use[key]!r}, found {given[key]!r})' for key in others)
    raise BeastError(
        f'{first} is no longer a setting: beast_lp always uses {in_use[first]!r}, found '
        f'{given[first]!r}{f"; nor are {also}" if also else ""}; leave {"them" if also else "it"} '
        'out, or use the version of beast_lp that the config was written for'
    )


def retired_group(path: str) -> dict[str, Any]:
    """Return the retired settings of a group that had one value, by their names within it.

    Args:
        path: name of the group in full, such as `beast.anchors`.
    """
    return {
        key.removeprefix(f'{path}.'): value
        for key, value in RETIRED.items()
        if key.startswith(f'{path}.') and not callable(value)
    }
