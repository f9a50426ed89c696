"""Write an encoder in transformers' format."""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from beast_lp.runs.files import finished_file, finished_folder
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import Encoder
from beast_lp.vit.tensor_names import State, encoder_from_own

# the model card, as model hubs call it
CARD_NAME = 'README.md'


def encoder_to_transformers(model: Encoder) -> State:
    """Return the encoder's tensors under transformers' names on disk."""
    return encoder_from_own({name: value.detach() for name, value in model.state_dict().items()})


def save_backbone(
    directory: Path,
    architecture: Architecture,
    state: Mapping[str, Tensor],
    card: str = '',
) -> None:
    """Write an encoder as a directory that `transformers.ViTModel.from_pretrained` opens.

    The directory appears complete or not at all.

    Args:
        directory: final name, which must not exist yet.
        architecture: shape of the encoder.
        state: all tensors of the encoder under their names on disk.
        card: text of its `README.md`; none for no such file.
    """
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in state.items()}
    with finished_folder(directory) as part:
        (part / 'config.json').write_text(
            json.dumps(architecture.transformers_config(), indent=2) + '\n',
            encoding='utf-8',
        )
        if card:
            (part / CARD_NAME).write_text(card, encoding='utf-8')
        with finished_file(part / 'model.safetensors') as file:
            safetensors.torch.save_file(tensors, file, {'format': 'pt'})
