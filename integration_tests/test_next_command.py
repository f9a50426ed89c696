"""The command that a finished pretraining prints works as typed, on the host's own config."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from measures import NO_GPU
from omegaconf import OmegaConf
from warm_litpose import Litpose


def test_the_printed_command_trains_with_the_hosts_default_config(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    found = find_spec('litpose_app')
    assert found is not None and found.origin is not None
    cfg = OmegaConf.load(Path(found.origin).with_name('config_default.yaml'))
    own = OmegaConf.load(tiny_project)
    # its comments ask for these two, and the rest is as it comes, but for the end within reach
    cfg.data.data_dir = own.data.data_dir
    cfg.data.video_dir = str(tiny_project.parent / 'videos')
    cfg.training.update(min_epochs=1, max_epochs=1)
    cfg.training.lr_scheduler_params.multisteplr.milestones = [1]
    cfg.beast = own.beast
    config_file = tmp_path / 'my config.yaml'
    OmegaConf.save(cfg, config_file)
    result = litpose('pretrain', config_file, '--output_dir', tmp_path / 'mein Käfig')
    command = result.stdout[result.stdout.index('\nlitpose train') :].partition('\n\n')[0]
    assert cfg.data.keypoint_names is None and 'check_val_every_n_epoch=1' in command
    programs = Path(sys.executable).parent
    trained = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            **NO_GPU,
            'HF_HUB_OFFLINE': '1',
            'OMP_NUM_THREADS': '1',
            'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
        },
    )
    assert trained.returncode == 0, command + trained.stdout[-2000:] + trained.stderr[-2000:]
    assert 'suits a ResNet' not in trained.stdout
    model = tmp_path / 'mein Käfig_pose'
    assert (model / 'predictions_pixel_error.csv').is_file()
