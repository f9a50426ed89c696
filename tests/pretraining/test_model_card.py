"""The model card beside the weights."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from beast_lp.config import BeastConfig
from beast_lp.pretraining.stage import run_pretraining


def test_a_backbone_comes_with_a_card_that_can_be_published(
    tiny_config: Callable[..., BeastConfig],
    videos: list[Path],
    tmp_path: Path,
) -> None:
    backbone = run_pretraining(tiny_config(seed=3), videos, tmp_path / 'out')
    card = (backbone / 'README.md').read_text(encoding='utf-8')
    _, head, text = card.split('---\n', 2)
    assert yaml.safe_load(head)['library_name'] == 'transformers'
    for words in ('2 videos', '| videos, frames | 2, 120 |', '| seed | 3 |', '32 x 32 px'):
        assert words in text, words
    assert re.search(r'explains -?\d+ % of what differs from the median', text)
    # whoever gets the folder learns nothing of this machine
    assert str(tmp_path) not in card and videos[0].stem not in card
    # its lines do what they say
    (code,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    code = code.replace('path/of/this/folder', str(backbone))
    result = subprocess.run(
        [
            sys.executable,
            '-c',
            f'import torch\nframes = torch.zeros(1, 3, 32, 32)\n{code}print(tuple(tokens.shape))',
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'HF_HUB_OFFLINE': '1'},
    )
    assert result.stdout.strip() == '(1, 5, 32)'
