"""What products are computed in: a setting, and what the hardware has."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

logger = logging.getLogger(f'lightning_pose.{__name__}')


def choose_precision(setting: str) -> Literal['32-true', 'bf16-mixed']:
    """Return Lightning's name for a precision setting, and say what was chosen.

    `auto` computes in bf16 (with fp32 weights) where the hardware multiplies in it.
    """
    wanted = setting == 'bf16' or (setting == 'auto' and _computes_in_bf16())
    name = 'bf16' if wanted else 'fp32'
    if setting == 'medium':
        name += ' with products whose factors may be rounded to bf16'
    logger.info(f'beast: computing in {name}')
    return 'bf16-mixed' if wanted else '32-true'


@contextmanager
def matmul_precision(setting: str) -> Iterator[None]:
    """Let fp32 products use bf16 units within, if the setting is `medium`; exact otherwise."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('medium' if setting == 'medium' else 'highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _computes_in_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # not in every torch that the host allows; an old one computes in fp32
    capabilities = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(capabilities.get('avx512_bf16') or capabilities.get('amx_bf16'))
