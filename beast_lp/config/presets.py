"""Sets of values that a user chooses by one name."""

from typing import Any

PRESET_HELP = {
    'vit_base': 'ViT-B/16 from ImageNet weights, as in the paper; a GPU',
    'vit_large': 'ViT-L/16 from ImageNet weights; a GPU with much memory',
    'vit_small': 'ViT-S/16 from random weights; a GPU',
    'vit_tiny': 'a smaller ViT from random weights; two CPU cores and a night',
    'laptop': 'the smallest, from random weights; minutes, to see how it works',
}

# What each preset changes. There are no public MAE weights below ViT-B, so the smaller presets
# start at random, and they scale the decoder with the encoder: the paper's 512 x 8 decoder would
# be most of their work.
PRESETS: dict[str, dict[str, Any]] = {
    'vit_large': {
        'init': 'facebook/vit-mae-large',
        'model': {'hidden_size': 1024, 'num_layers': 24},
    },
    'vit_base': {},
    'vit_small': {
        'init': 'random',
        'model': {
            'hidden_size': 384,
            'decoder_hidden_size': 256,
            'decoder_num_layers': 4,
        },
        'training': {'learning_rate': 1.5e-4},
    },
    # the size that two CPU cores train overnight
    'vit_tiny': {
        'init': 'random',
        'model': {
            'hidden_size': 192,
            'decoder_hidden_size': 128,
            'decoder_num_layers': 4,
        },
        'training': {'learning_rate': 1.5e-4, 'batch_size': 64},
    },
    # minutes on a laptop: enough to see every part work, not enough for a paper
    'laptop': {
        'init': 'random',
        'anchors': {'per_video': 200},
        'windows': {'longest_side': 192},
        'model': {
            'image_size': [128, 128],
            'hidden_size': 192,
            'num_layers': 6,
            'decoder_hidden_size': 96,
            'decoder_num_layers': 2,
        },
        'training': {'epochs': 40, 'batch_size': 64, 'learning_rate': 2e-3},
    },
}
