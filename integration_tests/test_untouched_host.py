"""A lab that has this package installed and trains a ResNet gets what it got before."""

import os
import subprocess
import sys
from pathlib import Path

from measures import NO_GPU
from omegaconf import OmegaConf

# the host's own call, and a digest of all that it trained; random initial weights, since the
# published ones would have to be downloaded, and no GPU, on which not all that the host does is
# the same from run to run
CODE = """
import hashlib, sys, torch
from omegaconf import OmegaConf
from lightning_pose.train import train
torch.use_deterministic_algorithms(True)
model = train(OmegaConf.load(sys.argv[1]), model_dir=sys.argv[2], skip_evaluation=True)
model._load()
digest = hashlib.sha256()
for name, value in sorted(model.model.state_dict().items()):
    digest.update(name.encode() + value.numpy().tobytes())
print('DIGEST', digest.hexdigest())
print('MODULES', *sorted(name for name in sys.modules if name.startswith('beast_lp')))
"""


def _train(config: Path, model_dir: Path, **env: str) -> tuple[str, list[str]]:
    """Return a digest of the trained weights, and the modules of this package that it took."""
    output = subprocess.run(
        [sys.executable, '-c', CODE, config, model_dir],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **NO_GPU, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1', **env},
    ).stdout
    lines = dict(
        line.split(' ', 1)
        for line in output.splitlines()
        if line.startswith(('DIGEST', 'MODULES '))
    )
    return lines['DIGEST'], lines.get('MODULES', '').split()


def test_a_resnet_ends_with_the_same_weights(tiny_project: Path, tmp_path: Path) -> None:
    cfg = OmegaConf.merge(
        OmegaConf.load(tiny_project),
        {
            'model': {'backbone': 'resnet18', 'backbone_pretrained': False},
            'training': {'optimizer': 'Adam', 'optimizer_params': {'learning_rate': 1e-3}},
        },
    )
    OmegaConf.save(cfg, tmp_path / 'config.yaml')
    installed, loaded = _train(tmp_path / 'config.yaml', tmp_path / 'installed')
    disabled, nothing = _train(
        tmp_path / 'config.yaml', tmp_path / 'disabled', BEAST_LP_DISABLE='1'
    )
    assert installed == disabled
    # the hook, and what Lightning asks for callbacks of every trainer; installed, it also checks
    # the names that it would need
    assert set(nothing) == {
        'beast_lp',
        'beast_lp.host',
        'beast_lp.host.hook',
        'beast_lp.host.start',
        'beast_lp.host.checkpoint',
    }
    assert set(loaded) - set(nothing) == {
        'beast_lp.errors',
        'beast_lp.host.names',
        'beast_lp.host.patches',
    }
