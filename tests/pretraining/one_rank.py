"""One process of a training step; `test_distributed.py` starts several as torchrun would."""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed

from beast_lp.config import parse_config
from beast_lp.pretraining.distributed import global_rank, world_size
from beast_lp.pretraining.module import BeastModule, mask_noise

KEY = (3, 'step', 1, 2)


def training_step(section: dict, joined: Tensor) -> dict[str, Tensor]:
    """Take this process's pairs of the joined batch; return losses, gradients and statistics.

    Losses and gradients are averaged over the processes, as DDP does.
    """
    torch.manual_seed(0)
    module = BeastModule(parse_config(section)).train()
    batch = joined[global_rank() :: world_size()]
    images = module._augment(batch, KEY)
    patches = module.config.model.num_patches
    noise = mask_noise(len(batch), patches, KEY, global_rank(), world_size())
    losses, _, _ = module._losses(images, noise)
    losses['loss'].backward()
    result = {f'loss {name}': value.detach() for name, value in losses.items()}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        result[f'gradient {name}'] = parameter.grad
    if world_size() > 1:
        for value in result.values():
            distributed.all_reduce(value)
            value /= world_size()
    result |= {name: value for name, value in module.state_dict().items() if 'running' in name}
    return result


if __name__ == '__main__':
    folder = Path(sys.argv[1])
    distributed.init_process_group('gloo')
    section, joined = torch.load(folder / 'input.pt', weights_only=False)
    results = [training_step(one, joined) for one in section]
    torch.save(results, folder / f'rank{global_rank()}.pt')
    distributed.destroy_process_group()
