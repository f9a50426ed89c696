"""Sets of values that a user chooses by one name."""

from typing import Any

PRESET_HELP = {
    'vit_base': 'ViT-B/16 from ImageNet weights, as in the paper; a GPU',
    'vit_large': 'ViT-L/16 from ImageNet weights; a GPU with much memory',
    'vit_small': 'ViT-S/16 from random weights; a GPU',
    'vit_tiny': 'a smaller ViT from random weights; two CPU cores and a night',
    'laptop': 'the smallest, from random weights; ten minutes of two CPU cores',
    'continue': 'the backbone of `init`, adapted to new videos in a sixth of the steps of laptop',
}

# the preset whose sizes are those of its initial weights
CONTINUE = 'continue'

# What each preset changes. There are no public MAE weights below ViT-B, so the smaller presets
# start at random, and they scale the decoder with the encoder: the paper's 512 x 8 decoder would
# be most of their work. From random weights, Muon leaves the plateau of the mean picture after
# hundreds of steps, where AdamW takes thousands. Cameras stand still, so nothing is mirrored.
_FROM_RANDOM = {
    'optimizer': 'muon',
    'peak_learning_rate': 3e-3,
    'beta2': 0.95,
    'batch_size': 64,
}

PRESETS: dict[str, dict[str, Any]] = {
    'vit_large': {
        'init': 'facebook/vit-mae-large',
        'model': {'hidden_size': 1024, 'num_layers': 24},
    },
    'vit_base': {},
    'vit_small': {
        'init': 'random',
        'augmentation': {'flip_horizontal': 0.0},
        'model': {
            'hidden_size': 384,
            'decoder_hidden_size': 256,
            'decoder_num_layers': 4,
        },
        # the recipe of the smaller ones; not measured, because no GPU was at hand
        'training': {**_FROM_RANDOM, 'batch_size': 128},
    },
    # the size that two CPU cores train overnight
    'vit_tiny': {
        'init': 'random',
        'augmentation': {'flip_horizontal': 0.0},
        'model': {
            'hidden_size': 192,
            'decoder_hidden_size': 64,
            'decoder_num_layers': 1,
        },
        'training': {**_FROM_RANDOM, 'steps': 50_000},
    },
    # ten minutes of two cores. A pose model takes its patches of 8 px as patches of 16 px of
    # images twice as large
    'laptop': {
        'init': 'random',
        'augmentation': {'flip_horizontal': 0.0},
        'windows': {'longest_side': 96},
        'model': {
            'image_size': [64, 64],
            'patch_size': 8,
            'hidden_size': 128,
            'num_layers': 4,
            'decoder_hidden_size': 64,
            'decoder_num_layers': 1,
        },
        'training': {**_FROM_RANDOM, 'steps': 9000},
    },
    # The decoder, which no backbone keeps, starts anew. The rate is that of a start at random: a
    # tenth of it, as for fine-tuning, gained less than as many steps from random weights.
    CONTINUE: {
        'augmentation': {'flip_horizontal': 0.0},
        'model': {
            'decoder_hidden_size': 64,
            'decoder_num_layers': 1,
        },
        'training': {**_FROM_RANDOM, 'steps': 1500},
    },
}
