"""The `beast:` section as a whole: from YAML to the typed schema, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Optional, cast, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from beast_lp.config.checks import MOST_SEED, check_choice, check_group, nearest
from beast_lp.config.encoding import EncodingConfig
from beast_lp.config.presets import PRESET_HELP, PRESETS
from beast_lp.config.pretraining import (
    AnchorConfig,
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    PairConfig,
    ProbeConfig,
    TrainingConfig,
    WindowConfig,
)
from beast_lp.config.retired import RETIRED, check_retired
from beast_lp.config.segmentation import SegmentationConfig
from beast_lp.config.setting import Section, group, setting
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045


@dataclass
class BeastConfig(Section):
    """The whole `beast:` section."""

    path: ClassVar[str] = 'beast'

    preset: str = setting(
        'vit_base',
        'a set of values for what is below (beast_lp/config/presets.py)',
        choices=PRESET_HELP,
    )
    init: str = setting(
        'facebook/vit-mae-base',
        'initial weights: a model hub name, a local directory or weight file, or `random` (paper: '
        'facebook/vit-mae-base, trained on ImageNet). A relative path starts where the command is '
        'started, else at data.data_dir',
    )
    videos: Any = setting(
        None,
        'a folder (its own files, not those of folders in it), a file or a list of them to '
        "pretrain on; null: the config's data.video_dir. Relative to data.data_dir, as all videos",
    )
    projects: list[str] = setting(
        [],
        'pose configs of further projects to train on together with this one, each project with '
        'the same share of every epoch, however many videos it has; `litpose pretrain a.yaml '
        'b.yaml` does the same. Their data.video_dir (or beast.videos) is used, their other '
        'settings are not. Relative paths start as that of init',
    )
    output_dir: Optional[str] = setting(
        None,
        'where `litpose train` keeps its pretraining stage, relative to where the command is '
        'started; null: beast/ in the model directory. A finished run with the same settings '
        'there is used again, even if videos were added since',
    )
    seed: int = setting(0, 'seed of all random draws', low=0, high=MOST_SEED)
    num_nodes: int = setting(
        1,
        "machines, each with the host's training.num_gpus devices; above 1, start the command "
        'with torchrun or srun on each (guide: cluster)',
        low=1,
        high=10_000,
    )
    tune: list[float] = setting(
        [],
        'lambdas to try, such as [0, 0.01, 0.03, 0.1], besides that of loss.contrastive_weight. '
        'Two short runs each (seeds seed and seed + 1) of a tenth of the steps, at least 1,500; '
        'the one with the lowest error of the probe (see there) is trained with, but only if it '
        'is better than loss.contrastive_weight by more than two runs of one lambda differ. Needs '
        '10 labelled frames (data.csv_file)',
        low=0,
        high=1e6,
    )
    anchors: AnchorConfig = group(AnchorConfig, 'which frames become anchors')
    windows: WindowConfig = group(
        WindowConfig,
        'how the frames t-k, t and t+k of each anchor t (see pairs) are cut out and stored',
    )
    pairs: PairConfig = group(PairConfig, "which frame is an anchor's positive")
    augmentation: AugmentationConfig = group(
        AugmentationConfig, 'random geometry of the training images'
    )
    model: ModelConfig = group(ModelConfig, 'the masked autoencoder')
    loss: LossConfig = group(
        LossConfig, 'L = reconstruction_weight * L_MSE + contrastive_weight * L_InfoNCE'
    )
    training: TrainingConfig = group(TrainingConfig, 'the optimiser, its schedule and the run')
    probe: ProbeConfig = group(
        ProbeConfig,
        'does pretraining help this project? Its labelled keypoints (data.csv_file) are predicted '
        'from the frozen features by ridge regression, cross-validated over videos (with fewer '
        'than five, over stretches of the labelled frames); errors in px of the original images',
    )
    segmentation: SegmentationConfig = group(
        SegmentationConfig,
        'action segmentation (`litpose segment`): behaviour of every frame from a few scored '
        'videos. Relative paths start at data.data_dir; that of source may also start where the '
        'command is started, which takes precedence. `~` is your home directory',
    )
    encoding: EncodingConfig = group(
        EncodingConfig,
        '`litpose encode`: how well features of video predict neural activity. Relative paths '
        'start where the command is started, not at data.data_dir: recordings are rarely in the '
        'pose project',
    )

    def __post_init__(self) -> None:
        """Check how the settings fit together.

        Raises:
            BeastError: if they do not.
        """
        super().__post_init__()
        if len(set(self.tune)) != len(self.tune):
            raise BeastError(f'beast.tune names a weight twice, found {list(self.tune)}')
        if 0 in self.tune and self.loss.reconstruction_weight == 0:
            raise BeastError(
                'beast.tune names 0, but beast.loss.reconstruction_weight is 0 too, so that short '
                'run would learn nothing; leave the 0 out or set the other above 0'
            )


def parse_config(
    section: Mapping[str, Any] | DictConfig | None,
    image_size: tuple[int, int] | None = None,
) -> BeastConfig:
    """Turn the `beast:` section of a pose config into its typed form.

    The user's keys take precedence over the preset, the preset over `image_size`, and that over
    the defaults of the schema. Where the user gives no `windows.longest_side`, it is at least the
    longer side of the images.

    Args:
        section: mapping under `beast:`; an absent or empty one means all defaults.
        image_size: (height, width) in px of the images that the backbone is for, where known.

    Returns:
        the checked configuration.

    Raises:
        BeastError: if a key is unknown (the message names the nearest one), a value has the wrong
            type or lies outside its range.
    """
    config, retired = _parsed(section, image_size)
    check_retired(retired, config)
    return config


def parse_recorded(section: Mapping[str, Any]) -> BeastConfig:
    """Turn the settings that a run recorded into their typed form.

    Retired settings may have had any value: the run is what it is. Those that shape the model are
    an exception, because the model could not be built again.

    Args:
        section: mapping under `beast:` in the file of the run.

    Raises:
        BeastError: as `parse_config`, or if the model had another shape than settings can tell.
    """
    config, retired = _parsed(section, None)
    check_retired(
        {key: value for key, value in retired.items() if key.startswith('beast.model.')}, config
    )
    return config


def _parsed(
    section: Mapping[str, Any] | DictConfig | None,
    image_size: tuple[int, int] | None,
) -> tuple[BeastConfig, dict[str, Any]]:
    """Return the typed form, and the retired settings that were given, by their names in full."""
    user = _normalise(_resolved(section))
    retired = _take_retired(user, 'beast')
    _check_keys(BeastConfig, user, 'beast')
    preset = user.get('preset', BeastConfig.preset)
    check_choice('beast.preset', str(preset), tuple(PRESETS))
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(BeastConfig),
            {'model': {'image_size': list(image_size)}} if image_size else {},
            PRESETS[preset],
            # the length that a user gives in epochs takes precedence over a preset's in steps
            {'training': {'steps': None}} if 'epochs' in user.get('training', {}) else {},
            user,
        )
    except OmegaConfBaseException as error:
        raise BeastError(_type_sentence(error)) from error
    if 'longest_side' not in user.get('windows', {}):
        # clips no smaller than the images, which would be enlarged from them
        merged.windows.longest_side = max([merged.windows.longest_side, *merged.model.image_size])
    return cast(BeastConfig, OmegaConf.to_object(merged)), retired


def _take_retired(section: dict[str, Any], path: str) -> dict[str, Any]:
    """Remove retired settings from a section, and return them by their names in full."""
    taken: dict[str, Any] = {}
    for key, value in list(section.items()):
        name = f'{path}.{key}'
        if name in RETIRED:
            taken[name] = section.pop(key)
        elif isinstance(value, dict):
            taken |= _take_retired(value, name)
            if not value and taken and any(old.startswith(f'{name}.') for old in RETIRED):
                # a group whose settings are all retired
                del section[key]
    return taken


def _resolved(section: object) -> Mapping[str, Any]:
    """Return a section with its interpolations resolved."""
    if isinstance(section, DictConfig):
        try:
            section = OmegaConf.to_container(section, resolve=True)
        except OmegaConfBaseException as error:
            raise BeastError(
                f'{error.full_key} cannot be resolved: {_reason(error)}; mend the name between '
                'the braces, or write the value itself'
            ) from error
    if section is None:
        return {}
    check_group('beast', section)
    return cast(Mapping[str, Any], section)


def config_yaml(config: BeastConfig) -> str:
    """Write a configuration as the YAML that `parse_config` reads back to the same values."""
    return OmegaConf.to_yaml(OmegaConf.create({'beast': OmegaConf.structured(config)}))


def _normalise(section: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a section and write shorthand in full: one number gives the size of square images."""
    user = cast(dict[str, Any], _copied(section))
    model = user.get('model')
    if isinstance(model, dict) and isinstance(model.get('image_size'), int):
        model['image_size'] = [model['image_size']] * 2
    return user


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return value


def _check_keys(schema: type, section: Mapping[str, Any], path: str) -> None:
    hints = get_type_hints(schema)
    known = [item.name for item in fields(schema)]
    for key, value in section.items():
        if key not in known:
            raise BeastError(f'unknown key {path}.{key}{nearest(str(key), known)}')
        if is_dataclass(hints[key]):
            check_group(f'{path}.{key}', value)
            _check_keys(hints[key], value, f'{path}.{key}')  # type: ignore[arg-type]
        elif hints[key] is not Any:
            _check_items(f'{path}.{key}', value)


def _check_items(key: str, value: object) -> None:
    """Refuse a list in a list, which omegaconf takes for a list of values."""
    for item in value if isinstance(value, list) else []:
        if isinstance(item, (list, Mapping)):
            raise BeastError(f'{key} must be a list of single values, found {item!r} in it')


def _type_sentence(error: OmegaConfBaseException) -> str:
    """Return the sentence for a value of the wrong type."""
    key = f'beast.{error.full_key}' if error.full_key else 'the beast: section'
    return f'{key} has the wrong type: {_reason(error)}'


def _reason(error: OmegaConfBaseException) -> str:
    return (error.msg or str(error)).splitlines()[0]
