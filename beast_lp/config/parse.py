"""The `beast:` section as a whole: from YAML to the typed schema, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Optional, cast, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from beast_lp.config.checks import check_choice, check_range, check_seed, nearest
from beast_lp.config.encoding import EncodingConfig
from beast_lp.config.presets import PRESETS
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
from beast_lp.config.segmentation import SegmentationConfig
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045


@dataclass
class BeastConfig:
    """The whole `beast:` section."""

    preset: str = 'vit_base'
    # a model hub name, a local directory or weight file, or `random`
    init: str = 'facebook/vit-mae-base'
    # a folder, a file or a list that replaces the config's data.video_dir for pretraining
    videos: Any = None
    # pose configs of further projects that are trained on together with this one, in equal shares
    projects: list[str] = field(default_factory=list)
    # where `litpose train` keeps its pretraining stage; null: `beast/` in the model directory
    output_dir: Optional[str] = None
    seed: int = 0
    # machines; the host's training.num_gpus is the number of devices of each
    num_nodes: int = 1
    # contrastive weights to try in short runs; the best is used in place of
    # loss.contrastive_weight. Empty: that one is used as it is
    tune: list[float] = field(default_factory=list)
    # epochs of a short run; null: a tenth of the whole run, at least 5
    tune_epochs: Optional[int] = None
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    pairs: PairConfig = field(default_factory=PairConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    encoding: EncodingConfig = field(default_factory=EncodingConfig)

    def __post_init__(self) -> None:
        for weight in self.tune:
            check_range('beast.tune', weight, 0)
        if len(set(self.tune)) != len(self.tune):
            raise BeastError(f'beast.tune names a weight twice, found {list(self.tune)}')
        if self.tune_epochs is not None:
            check_range('beast.tune_epochs', self.tune_epochs, 1)
        if self.tune and self.training.validation_fraction == 0:
            raise BeastError(
                'beast.tune chooses by held-out frames, so beast.training.validation_fraction '
                'must be greater than 0'
            )
        if 0 in self.tune and self.loss.reconstruction_weight == 0:
            raise BeastError(
                'beast.tune names 0, but beast.loss.reconstruction_weight is 0 too, so that short '
                'run would learn nothing; leave the 0 out or set the other above 0'
            )
        check_range('beast.num_nodes', self.num_nodes, 1)
        check_seed('beast.seed', self.seed)


def parse_config(
    section: Mapping[str, Any] | DictConfig | None,
    image_size: tuple[int, int] | None = None,
) -> BeastConfig:
    """Turn the `beast:` section of a pose config into its typed form.

    Precedence: the schema's defaults, then `image_size`, then the preset, then the user's keys.
    Where the user gives no `windows.longest_side`, it is at least the longer side of the images.

    Args:
        section: the mapping under `beast:`; an absent or empty one means all defaults.
        image_size: px, (height, width) of the images that the backbone is for, where it is known.

    Returns:
        the checked configuration.

    Raises:
        BeastError: if a key is unknown (the message names the nearest one), a value has the wrong
            type or lies outside its range.
    """
    user = _normalise(_resolved(section))
    _check_keys(BeastConfig, user, 'beast')
    preset = user.get('preset', BeastConfig.preset)
    check_choice('beast.preset', str(preset), tuple(PRESETS))
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(BeastConfig),
            {'model': {'image_size': list(image_size)}} if image_size else {},
            PRESETS[preset],
            user,
        )
    except OmegaConfBaseException as error:
        raise BeastError(_type_sentence(error)) from error
    if 'longest_side' not in user.get('windows', {}):
        # clips no smaller than the images, which would be enlarged from them
        merged.windows.longest_side = max([merged.windows.longest_side, *merged.model.image_size])
    return cast(BeastConfig, OmegaConf.to_object(merged))


def _resolved(section: object) -> Mapping[str, Any]:
    if isinstance(section, DictConfig):
        try:
            section = OmegaConf.to_container(section, resolve=True)
        except OmegaConfBaseException as error:
            raise BeastError(
                f'{error.full_key} cannot be resolved: {_reason(error)}; mend the name between '
                'the braces, or write the value itself'
            ) from error
    section = {} if section is None else section
    if not isinstance(section, Mapping):
        raise BeastError(f'`beast:` must be a mapping of settings, found {section!r}')
    return section


def config_yaml(config: BeastConfig) -> str:
    """Write a configuration as the YAML that `parse_config` reads back to the same values."""
    return OmegaConf.to_yaml(OmegaConf.create({'beast': OmegaConf.structured(config)}))


def _normalise(section: Mapping[str, Any]) -> dict[str, Any]:
    """Spell shorthand in full: a square image may be given by one number."""
    user = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in section.items()
    }
    model = user.get('model')
    if isinstance(model, dict) and isinstance(model.get('image_size'), int):
        model['image_size'] = [model['image_size']] * 2
    return user


def _check_keys(schema: type, section: Mapping[str, Any], path: str) -> None:
    hints = get_type_hints(schema)
    known = [item.name for item in fields(schema)]
    for key, value in section.items():
        if key not in known:
            raise BeastError(f'unknown key {path}.{key}{nearest(str(key), known)}')
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise BeastError(f'{path}.{key} must be a mapping of settings, found {value!r}')
            _check_keys(hints[key], value, f'{path}.{key}')  # type: ignore[arg-type]


def _type_sentence(error: OmegaConfBaseException) -> str:
    """Say in one line which key has the wrong type."""
    key = f'beast.{error.full_key}' if error.full_key else 'the beast: section'
    return f'{key} has the wrong type: {_reason(error)}'


def _reason(error: OmegaConfBaseException) -> str:
    return (error.msg or str(error)).splitlines()[0]
