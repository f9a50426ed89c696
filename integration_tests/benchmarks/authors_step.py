"""Runs inside the authors' environment: their model's training step, on order.

Arguments: a folder with `case.json` and `images.npy`, and a device. It writes its random weights
there for the other side, then serves.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from beast.models.vits import VisionTransformer  # pyright: ignore[reportMissingImports]
from step_loop import serve


def main() -> None:
    """Build, share the weights, serve."""
    folder, device = Path(sys.argv[1]), sys.argv[2]
    case = json.loads((folder / 'case.json').read_text())
    torch.set_num_threads(1)
    model = VisionTransformer(
        {
            'model': {
                'seed': 0,
                'model_params': {
                    **case['theirs'],
                    'random_init': True,
                    'use_infoNCE': True,
                    'infoNCE_weight': 0.03,
                    'embed_size': case['theirs']['hidden_size'],
                    'mask_ratio': 0.75,
                    'image_size': 224,
                    'patch_size': 16,
                    'num_channels': 3,
                },
            },
        }
    ).train()
    model.vit_mae.save_pretrained(folder / 'weights')
    torch.save(model.proj.proj.state_dict(), folder / 'projection.pt')
    model.to(device)
    images = torch.from_numpy(np.load(folder / 'images.npy')).to(device)
    fixed = torch.from_numpy(np.load(folder / 'noise.npy')).to(device)
    embeddings = model.vit_mae.vit.embeddings
    masking = embeddings.random_masking
    # the same masks for both sides
    embeddings.random_masking = lambda tokens, noise=None: masking(tokens, noise=fixed)

    def loss() -> torch.Tensor:
        outputs = model.get_model_outputs({'image': images})
        return model.compute_loss('train', **outputs)[0]

    # as their `configure_optimizers` builds it
    serve(loss, torch.optim.AdamW(model.get_parameters(), lr=1e-5, weight_decay=0.05), device)


if __name__ == '__main__':
    main()
