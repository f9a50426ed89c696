"""A glance at initial weights, without torch, which takes seconds to import.

It finds no fault by itself: where anything is odd, `read_encoder` and `load_encoder` look closely
and have the sentences.
"""

import json
import re
from collections import Counter
from pathlib import Path

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.locate import locate, weight_file

_SIZES = ('hidden_size', 'num_layers', 'num_heads', 'mlp_size', 'patch_size')


def fits_at_a_glance(checkpoint: str | Path, model: ModelConfig) -> bool:
    """Return whether weights are certain to fit, by their description and the shapes in the file.

    Args:
        checkpoint: as `beast_lp.vit.weights.read_encoder` takes it.
        model: sizes of the encoder that is to start from them.

    Returns:
        True for a model directory with a complete `.safetensors` file of an encoder of these
        sizes; False where only reading the weights can tell.

    Raises:
        BeastError: if there is nothing there.
    """
    directory = locate(checkpoint)
    config = directory / 'config.json'
    if not config.is_file() or weight_file(directory).suffix != '.safetensors':
        return False
    try:
        values = json.loads(config.read_text(encoding='utf-8'))
        theirs = Architecture.from_transformers_config(values, config)
        found = _shapes(weight_file(directory))
    except (BeastError, OSError, ValueError, TypeError, AttributeError):
        return False
    ours = Architecture.from_config(model)
    same = all(getattr(ours, name) == getattr(theirs, name) for name in _SIZES)
    complete = not _encoder_shapes(theirs) - Counter(found.values())
    # a decoder's layers are numbered too
    further = re.compile(rf'\blayers?\.{theirs.num_layers}\.')
    more = any(further.search(name) for name in found if 'decoder' not in name)
    return same and complete and not more


def _shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a file, whose length must be the one it states."""
    import safetensors

    try:
        with safetensors.safe_open(weights, framework='numpy') as file:
            names = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except safetensors.SafetensorError as error:
        raise BeastError(f'{weights} is damaged') from error


def _encoder_shapes(architecture: Architecture) -> Counter[tuple[int, ...]]:
    """Count the shapes of the tensors of an encoder on disk."""
    width, mlp, patch = architecture.hidden_size, architecture.mlp_size, architecture.patch_size
    height, columns = architecture.grid
    shapes: Counter[tuple[int, ...]] = Counter(
        [(1, 1, width), (1, 1 + height * columns, width), (width, 3, patch, patch)]
    )
    # of the patches, the last norm, and of each layer: two norms, four projections, the MLP
    shapes[(width,)] += 3 + architecture.num_layers * 9
    shapes[(width, width)] += architecture.num_layers * 4
    for shape in ((mlp, width), (mlp,), (width, mlp)):
        shapes[shape] += architecture.num_layers
    return shapes
