"""Patches of images, and where they are."""

import pytest
import torch

from beast_lp.vit.patches import patchify, sincos_positions, take, unpatchify


def test_patches_are_in_raster_order_and_can_be_put_back() -> None:
    images = torch.randn(2, 3, 32, 48)
    patches = patchify(images, 16)
    for index in range(6):
        row, column = divmod(index, 3)
        patch = images[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert torch.equal(patches[:, index], patch.permute(0, 2, 3, 1).flatten(1))
    assert torch.equal(unpatchify(patches, (2, 3)), images)


def test_positions_equal_a_slow_loop() -> None:
    table = sincos_positions(8, (2, 3))[0]
    assert torch.equal(table[0], torch.zeros(8))
    for index in range(6):
        row, column = divmod(index, 3)
        slow = []
        for coordinate in (column, row):
            angles = [coordinate / 10000 ** (k / 2) for k in range(2)]
            slow += [*torch.tensor(angles).sin().tolist(), *torch.tensor(angles).cos().tolist()]
        torch.testing.assert_close(table[1 + index], torch.tensor(slow))


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)])
def test_each_image_gives_its_own_patches(device: str) -> None:
    patches = torch.randn(3, 6, 4, device=device)
    index = torch.stack([torch.randperm(6)[:4] for _ in range(3)]).to(device)
    taken = take(patches, index)
    for image in range(3):
        for place in range(4):
            assert torch.equal(taken[image, place], patches[image, index[image, place]])
