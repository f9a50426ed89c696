"""The command under Hydra's launchers."""

from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from beast_lp.config import parse_config
from beast_lp.host.compose import compose_config
from beast_lp.host.launch import as_overrides

LAUNCH = Path(__file__).parents[2] / 'configs' / 'launch'


@pytest.mark.parametrize('launcher', ['submitit_slurm', 'submitit_local'])
def test_the_launchers_config_composes(launcher: str) -> None:
    pytest.importorskip('hydra_plugins.hydra_submitit_launcher')
    with hydra.initialize_config_dir(version_base='1.3', config_dir=str(LAUNCH)):
        cfg = hydra.compose('slurm', return_hydra_config=True, overrides=[
            f'hydra/launcher={launcher}', 'config_file=a.yaml', 'output_dir=b',
            'hydra.launcher.nodes=4', '+set.beast.loss.temperature=0.5',
        ])
    HydraConfig.instance().set_config(cfg)
    assert launcher.removeprefix('submitit_').capitalize() in cfg.hydra.launcher._target_
    assert as_overrides(cfg.set) == [
        '++training.num_gpus=8', '++beast.num_nodes=4', '++beast.loss.temperature=0.5',
    ]
    GlobalHydra.instance().clear()


def test_settings_survive_the_way_through_overrides(tmp_path: Path) -> None:
    (tmp_path / 'c.yaml').write_text('data: {video_dir: old}\nbeast: {seed: 3}\n')
    wanted = {'data': {'video_dir': "it's, a = {folder}"}, 'beast': {
        'init': 'random', 'model': {'image_size': [32, 64]}, 'anchors': {'total': None},
    }}
    overrides = as_overrides(OmegaConf.create(wanted))
    cfg = compose_config(tmp_path / 'c.yaml', overrides)
    assert cfg.data.video_dir == "it's, a = {folder}"
    config = parse_config(cfg.beast)
    assert (config.seed, config.init, config.model.image_size) == (3, 'random', [32, 64])
