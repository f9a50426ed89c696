"""Runs inside the authors' environment: their prediction of latents for one video, on a CPU.

`build FOLDER` writes a model with random weights for both sides; `predict FOLDER VIDEO OUTPUT`
does what `beast predict --save_latents` does, which would ask for a GPU; it prints a line of JSON.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import beast.inference  # pyright: ignore[reportMissingImports]
import torch
from beast.models.vits import VisionTransformer  # pyright: ignore[reportMissingImports]

# the small model of the training benchmark: 192 wide, a decoder of 128
SIZE = {
    'hidden_size': 192,
    'num_hidden_layers': 12,
    'num_attention_heads': 3,
    'intermediate_size': 768,
    'decoder_hidden_size': 128,
    'decoder_num_hidden_layers': 4,
    'decoder_num_attention_heads': 4,
    'decoder_intermediate_size': 512,
}


def build() -> VisionTransformer:
    """Build the model."""
    return VisionTransformer(
        {
            'model': {
                'seed': 0,
                'model_params': {
                    **SIZE,
                    'random_init': True,
                    'use_infoNCE': True,
                    'infoNCE_weight': 0.03,
                    'embed_size': SIZE['hidden_size'],
                    'mask_ratio': 0.75,
                    'image_size': 224,
                    'patch_size': 16,
                    'num_channels': 3,
                },
            }
        }
    )


def main() -> None:
    """Do one of the two."""
    job, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    model = build()
    if job == 'build':
        model.vit_mae.save_pretrained(folder / 'weights')
        torch.save(model.state_dict(), folder / 'model.pt')
        return
    model.load_state_dict(torch.load(folder / 'model.pt', weights_only=True))
    trainer = beast.inference.pl.Trainer
    # its own call names a GPU
    beast.inference.pl.Trainer = lambda **_: trainer(accelerator='cpu', logger=False)
    done = beast.inference.predict_video(
        model, Path(sys.argv[4]), Path(sys.argv[3]), save_reconstructions=False
    )
    print(
        json.dumps(
            {
                'frames': done['latents_shape'][0],
                'latents': str(done['latents_file']),
                'versions': {
                    name: version(name) for name in ('beast-backbones', 'torch', 'transformers')
                },
            }
        )
    )


if __name__ == '__main__':
    main()
