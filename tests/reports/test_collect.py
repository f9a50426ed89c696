"""What the report of a run shows, taken from its model and its store."""

import torch

from beast_lp.config import parse_config
from beast_lp.pretraining.augmentation import denormalise, normalise
from beast_lp.pretraining.model import patchify
from beast_lp.pretraining.module import BeastModule
from beast_lp.reports.collect import _reconstruct, _spread

MODEL = {'image_size': 32, 'patch_size': 8, 'hidden_size': 32, 'num_layers': 1, 'num_heads': 2,
         'mlp_size': 64, 'decoder_hidden_size': 16, 'decoder_num_layers': 1,
         'decoder_num_heads': 2, 'decoder_mlp_size': 32}


def _module(**loss: object) -> BeastModule:
    torch.manual_seed(0)
    return BeastModule(parse_config({'init': 'random', 'model': MODEL, 'loss': loss})).eval()


@torch.no_grad()
def test_visible_patches_are_shown_as_they_are_and_hidden_ones_grey() -> None:
    module = _module()
    images = normalise(torch.rand(3, 3, 32, 32))
    originals, masked, completed = (patchify(x, 8) for x in _reconstruct(module, images))
    torch.testing.assert_close(originals, patchify(denormalise(images), 8))
    grey = (masked == 0.5).all(dim=-1)
    assert grey.sum(dim=1).tolist() == [12, 12, 12]
    torch.testing.assert_close(masked[~grey], originals[~grey])
    torch.testing.assert_close(completed[~grey], originals[~grey])
    assert not torch.allclose(completed[grey], originals[grey], atol=0.05)


@torch.no_grad()
def test_normalised_patches_get_their_brightness_back() -> None:
    module = _module(norm_pix_loss=True)
    dark, bright = torch.full((1, 3, 32, 32), 0.1), torch.full((1, 3, 32, 32), 0.9)
    _, _, completed = _reconstruct(module, normalise(torch.cat([dark, bright])))
    assert float(completed[0].mean()) < 0.2
    assert float(completed[1].mean()) > 0.8


@torch.no_grad()
def test_without_a_decoder_there_is_nothing_to_show() -> None:
    module = _module(reconstruction_weight=0.0)
    assert all(len(part) == 0 for part in _reconstruct(module, torch.randn(2, 3, 32, 32)))


def test_a_selection_is_spread_evenly() -> None:
    assert _spread(range(9), 3) == [0, 4, 8]
    assert _spread(range(2), 5) == [0, 1]
