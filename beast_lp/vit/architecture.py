"""The shape of a ViT encoder, as every format of weights describes it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError

# sizes beyond those of any ViT are damage, and would fill the memory
_MOST = 1_000_000


@dataclass(frozen=True)
class Architecture:
    """The shape of a ViT encoder."""

    hidden_size: int
    num_layers: int
    num_heads: int
    mlp_size: int
    patch_size: int
    # px, (height, width)
    image_size: tuple[int, int]
    layer_norm_eps: float = 1e-12

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along (height, width)."""
        return self.image_size[0] // self.patch_size, self.image_size[1] // self.patch_size

    @staticmethod
    def from_config(config: ModelConfig) -> 'Architecture':
        """Return the encoder that the settings of a pretraining run describe."""
        height, width = config.image_size
        return Architecture(
            config.hidden_size,
            config.num_layers,
            config.num_heads,
            config.mlp_size,
            config.patch_size,
            (height, width),
        )

    def to_json(self) -> str:
        """Write the architecture as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str, source: Path) -> 'Architecture':
        """Read what `to_json` wrote.

        Args:
            text: one line of JSON.
            source: its file, for messages.

        Raises:
            BeastError: if it is anything else.
        """
        try:
            values = dict(json.loads(text))
            size = _pair(values.pop('image_size'))
            return Architecture(image_size=size, **values)._checked(source)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BeastError(
                f'{source} states a shape of the encoder that cannot be read '
                f'({type(error).__name__}); restore the file, or give another'
            ) from error

    def _checked(self, source: Path) -> 'Architecture':
        """Return the architecture, if its values are those of an encoder.

        Raises:
            BeastError: naming the first value that no encoder has.
        """
        for name, value in asdict(self).items():
            sizes = value if isinstance(value, tuple) else (value,)
            fits = all(map(_is_eps if name == 'layer_norm_eps' else _is_size, sizes))
            if not fits:
                raise BeastError(
                    f'{source} gives {value!r} as {name} of the ViT, which cannot be; is it a '
                    'complete copy?'
                )
        if self.hidden_size % self.num_heads:
            raise BeastError(
                f'{source} divides a width of {self.hidden_size} among {self.num_heads} heads, '
                'which cannot be; is it a complete copy?'
            )
        return self

    def transformers_config(self) -> dict[str, Any]:
        """Return the content of transformers' `config.json` for a `ViTModel`."""
        return {
            'architectures': ['ViTModel'],
            'model_type': 'vit',
            'hidden_size': self.hidden_size,
            'num_hidden_layers': self.num_layers,
            'num_attention_heads': self.num_heads,
            'intermediate_size': self.mlp_size,
            'patch_size': self.patch_size,
            # transformers reads a pair as (height, width)
            'image_size': list(self.image_size),
            'layer_norm_eps': self.layer_norm_eps,
            'hidden_act': 'gelu',
            'hidden_dropout_prob': 0.0,
            'attention_probs_dropout_prob': 0.0,
            'num_channels': 3,
            'qkv_bias': True,
        }

    @staticmethod
    def from_transformers_config(values: object, source: Path) -> 'Architecture':
        """Read the content of transformers' `config.json`.

        Args:
            values: parsed JSON.
            source: its file, for messages.

        Raises:
            BeastError: if it describes something other than a ViT that this package can run.
        """
        if not isinstance(values, Mapping):
            raise BeastError(f'{source} holds no settings of a model; is it a complete copy?')
        if values.get('model_type') not in ('vit', 'vit_mae'):
            raise BeastError(
                f'{source} describes a model of type {values.get("model_type")!r}; '
                "beast reads 'vit' and 'vit_mae' models only"
            )
        if values.get('hidden_act', 'gelu') != 'gelu' or not values.get('qkv_bias', True):
            raise BeastError(
                f'{source} describes a ViT without GELU or without attention biases, '
                'which beast cannot run; use a standard ViT or ViT-MAE'
            )
        try:
            return Architecture(
                hidden_size=values['hidden_size'],
                num_layers=values['num_hidden_layers'],
                num_heads=values['num_attention_heads'],
                mlp_size=values['intermediate_size'],
                patch_size=values.get('patch_size', 16),
                image_size=_pair(values.get('image_size', 224)),
                layer_norm_eps=values.get('layer_norm_eps', 1e-12),
            )._checked(source)
        except KeyError as error:
            raise BeastError(f'{source} lacks the key {error}; is it a complete copy?') from error


def _pair(size: Any) -> tuple[Any, Any]:
    """Return (height, width), of which a square has one number only; not yet checked."""
    if isinstance(size, list) and len(size) == 2:
        return size[0], size[1]
    return size, size


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST


def _is_eps(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value < 1  # type: ignore[arg-type,operator]
