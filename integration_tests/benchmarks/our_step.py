"""Our training step, on order, from the weights that `authors_step.py` wrote."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from step_loop import serve

from beast_lp.config import parse_config
from beast_lp.pretraining.module import BeastModule
from beast_lp.vit.load import load_encoder
from beast_lp.vit.optimiser import parameter_groups
from beast_lp.vit.weights import read_encoder


def main() -> None:
    """Build, load the weights, serve."""
    folder, device = Path(sys.argv[1]), sys.argv[2]
    case = json.loads((folder / 'case.json').read_text())
    torch.set_num_threads(1)
    module = BeastModule(parse_config({'init': 'random', 'model': case['ours']})).train()
    load_encoder(module.model, read_encoder(folder / 'weights'))
    assert module.projection is not None
    module.projection.load_state_dict(torch.load(folder / 'projection.pt', weights_only=True))
    module.to(device)
    images, noise = (
        torch.from_numpy(np.load(folder / f'{name}.npy')).to(device)
        for name in ('images', 'noise')
    )
    optimizer = torch.optim.AdamW(parameter_groups(module, 0.05), lr=1e-5, fused=True)
    serve(lambda: module._losses(images, noise)[0]['loss'], optimizer, device)


if __name__ == '__main__':
    main()
