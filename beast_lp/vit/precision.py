"""Number format of products, by a setting and by what the hardware offers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

logger = logging.getLogger(f'lightning_pose.{__name__}')


def choose_precision(setting: str) -> Literal['32-true', 'bf16-mixed']:
    """Return Lightning's name for a precision setting, and log the choice.

    Args:
        setting: `auto` (bf16 products with fp32 weights where the hardware multiplies in bf16),
            `fp32`, `bf16` or `medium` (see `matmul_precision`).
    """
    wanted = setting == 'bf16' or (setting == 'auto' and _computes_in_bf16())
    name = 'bf16' if wanted else 'fp32'
    if setting == 'medium':
        name += ' with products whose factors may be rounded to bf16'
    logger.info(f'beast: computing in {name}')
    return 'bf16-mixed' if wanted else '32-true'


@contextmanager
def matmul_precision(setting: str) -> Iterator[None]:
    """Let fp32 products in the block use bf16 units if the setting is `medium`."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('medium' if setting == 'medium' else 'highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _computes_in_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # missing in older versions of torch that the host allows, which then compute in fp32
    capabilities = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(capabilities.get('avx512_bf16') or capabilities.get('amx_bf16'))
