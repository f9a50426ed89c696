"""The command under Hydra's launchers."""

import errno
import re
import shlex
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from beast_lp.config import parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import compose_config
from beast_lp.host.launch import as_overrides, main, run

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'configs' / 'launch'
GUIDES = ROOT / 'beast_lp' / 'guides'
PAGES = [
    *sorted(LAUNCH.iterdir()),
    *(
        page
        for page in [ROOT / 'README.md', *sorted(GUIDES.glob('*.md'))]
        if 'beast_lp.host.launch' in page.read_text(encoding='utf-8')
    ),
]


def _documented(path: Path) -> list[list[str]]:
    """Return the arguments of the launcher's commands in a page, or in the comments of a file."""
    text = re.sub(r'^# ?', '', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
    found = re.findall(r'^ *python -m beast_lp.host.launch((?:.*\\\n)*.*)', text, re.MULTILINE)
    return [shlex.split(command.replace('\\\n', ' ')) for command in found]


@pytest.mark.parametrize(
    'command',
    [command for page in PAGES for command in _documented(page)],
    ids=' '.join,
)
def test_a_documented_command_asks_for_gpus(command: list[str]) -> None:
    pytest.importorskip('hydra_plugins.hydra_submitit_launcher')
    assert command[:3] == ['--config-dir', 'configs/launch', '--config-name']
    # of a sweep, the first run
    overrides = [item.split(',')[0] for item in command[4:]]
    with hydra.initialize_config_dir(version_base='1.3', config_dir=str(LAUNCH)):
        cfg = hydra.compose(command[3], overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    launcher = cfg.hydra.launcher
    if 'submitit' in launcher._target_:
        # else the local launcher hides all GPUs and Slurm gives none, and a job ends in an hour
        assert launcher.gpus_per_node == launcher.tasks_per_node
        assert launcher.timeout_min == 1440
        assert launcher.cpus_per_task == 8
        assert ('Local' in launcher._target_) == ('partition' not in launcher)


def test_every_page_that_names_the_launcher_has_commands() -> None:
    assert all(_documented(page) for page in PAGES)
    assert {'cluster.md', 'comparing_backbones.md'} <= {page.name for page in PAGES}


@pytest.mark.parametrize('launcher', ['submitit_slurm', 'submitit_local'])
def test_the_launchers_config_composes(launcher: str) -> None:
    pytest.importorskip('hydra_plugins.hydra_submitit_launcher')
    with hydra.initialize_config_dir(version_base='1.3', config_dir=str(LAUNCH)):
        cfg = hydra.compose(
            'slurm',
            return_hydra_config=True,
            overrides=[
                f'hydra/launcher={launcher}',
                'config_file=a.yaml',
                'output_dir=b',
                'hydra.launcher.nodes=4',
                '+set.beast.loss.temperature=0.5',
            ],
        )
    HydraConfig.instance().set_config(cfg)
    assert launcher.removeprefix('submitit_').capitalize() in cfg.hydra.launcher._target_
    assert cfg.hydra.launcher.gpus_per_node == 8
    assert as_overrides(cfg.set) == [
        '++training.num_gpus=8',
        '++beast.num_nodes=4',
        '++beast.loss.temperature=0.5',
    ]
    GlobalHydra.instance().clear()


def test_settings_survive_the_way_through_overrides(tmp_path: Path) -> None:
    (tmp_path / 'c.yaml').write_text('data: {video_dir: old}\nbeast: {seed: 3}\n')
    wanted = {
        'data': {'video_dir': "it's, a = {folder}"},
        'beast': {
            'init': 'random',
            'model': {'image_size': [32, 64]},
            'anchors': {'total': None},
        },
    }
    overrides = as_overrides(OmegaConf.create(wanted))
    cfg = compose_config(tmp_path / 'c.yaml', overrides)
    assert cfg.data.video_dir == "it's, a = {folder}"
    config = parse_config(cfg.beast)
    assert (config.seed, config.init, config.model.image_size) == (3, 'random', [32, 64])


def test_a_forbidden_folder_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(cfg: object) -> None:
        raise error

    error: OSError = PermissionError(errno.EACCES, 'Permission denied', '/data/out')
    monkeypatch.setattr('beast_lp.host.launch.run', refuse)
    with pytest.raises(CompactHydraException, match='^error: /data/out may not be used'):
        main(OmegaConf.create())
    error = FileNotFoundError(errno.ENOENT, 'No such file', '/data/out')
    with pytest.raises(CompactHydraException, match='^error: /data/out does not exist'):
        main(OmegaConf.create())
    error = OSError('of a library')
    with pytest.raises(OSError, match='of a library'):
        main(OmegaConf.create())


RECIPE = ['config_file=a.yaml', 'backbone_checkpoint=b', 'models=m', 'seed=2']


def test_the_recipe_gives_each_backbone_what_suits_it() -> None:
    found = {}
    with hydra.initialize_config_dir(version_base='1.3', config_dir=str(LAUNCH)):
        swept = hydra.compose('compare_backbones', overrides=RECIPE, return_hydra_config=True)
        names = swept.hydra.sweeper.params.backbone.split(',')
        for backbone in (*names, 'vitb_imagenet'):
            cfg = hydra.compose('compare_backbones', overrides=[*RECIPE, f'backbone={backbone}'])
            assert cfg.output_dir == f'm/{backbone}/seed_2'
            found[backbone] = as_overrides(cfg.set) + as_overrides(cfg.variant)
    for backbone, overrides in found.items():
        own = backbone in ('beast', 'random')
        assert f"++model.backbone='{'beast' if own else backbone}'" in overrides
        assert overrides[:3] == [
            '++training.train_frames=100',
            '++training.rng_seed_data_pt=2',
            '++training.rng_seed_model_pt=2',
        ]
    assert "++model.backbone_checkpoint='b'" in found['beast']
    assert "++model.backbone_checkpoint='random:b'" in found['random']
    assert {'vits_dino', 'vitb_dinov3'} <= found.keys()
    assert found['beast'][-1] == found['random'][-1]
    assert "++training.optimizer='Adam'" in found['resnet50_animal_ap10k']


def test_a_job_runs_inside_hydra_and_leaves_the_directory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'c.yaml').write_text('data: {data_dir: ., video_dir: nowhere}\nbeast: {}\n')
    cfg = OmegaConf.create(
        {
            'config_file': str(tmp_path / 'c.yaml'),
            'output_dir': 'o',
            'set': {'beast': {'preset': 'laptop'}},
        }
    )
    monkeypatch.setattr('beast_lp.host.launch.to_absolute_path', lambda path: str(path))
    with hydra.initialize_config_dir(version_base='1.3', config_dir=str(LAUNCH)):
        application = GlobalHydra.instance().hydra
        # found by the command itself, so the config was composed and read
        with pytest.raises(BeastError, match='nowhere'):
            run(cfg)
        assert GlobalHydra.instance().hydra is application
    assert Path.cwd() == tmp_path
    cfg.command = 'predict'
    with pytest.raises(BeastError, match='pretrain or train, found predict'):
        run(cfg)


def test_an_error_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv('HYDRA_FULL_ERROR', raising=False)
    # Hydra takes the measuring of coverage for a debugger, and shows that all
    monkeypatch.setattr('sys.gettrace', lambda: None)
    # this process keeps its loggers
    monkeypatch.setattr(
        'sys.argv',
        [
            'launch',
            '+command=predict',
            f'hydra.run.dir={tmp_path}',
            'hydra/job_logging=none',
            'hydra/hydra_logging=none',
        ],
    )
    with pytest.raises(SystemExit) as stopped:
        hydra.main(version_base='1.3', config_path=None)(main)()
    assert stopped.value.code == 1
    shown = capsys.readouterr().err
    assert 'error: command must be pretrain or train, found predict' in shown.splitlines()
    assert 'Traceback' not in shown


def test_a_finished_model_of_a_sweep_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'c.yaml').touch()
    (tmp_path / 'train_status.json').write_text('{"status": "COMPLETED"}')
    monkeypatch.setattr('beast_lp.host.launch.to_absolute_path', lambda path: str(path))
    # the config is empty: training would fail
    run(
        OmegaConf.create(
            {
                'command': 'train',
                'config_file': str(tmp_path / 'c.yaml'),
                'output_dir': str(tmp_path),
            }
        )
    )


@pytest.mark.parametrize('command', ['pretrain', 'train'])
def test_a_job_has_every_option_that_the_command_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    from lightning_pose.cli.commands import train

    from beast_lp.host.commands import pretrain

    module = {'pretrain': pretrain, 'train': train}[command]
    config = tmp_path / 'config.yaml'
    config.write_text('{}')
    jobs = []
    monkeypatch.setattr(module, 'handle', jobs.append)
    settings = {'training': {'rng_seed_data_pt': 3}}
    job = {'command': command, 'config_file': str(config), 'output_dir': str(tmp_path / 'out')}
    run(OmegaConf.create({**job, 'set': settings}))
    words = [str(config), '--output_dir', str(tmp_path / 'out'), '--overrides']
    typed = module.get_parser().parse_args([*words, '++training.rng_seed_data_pt=3'])
    assert vars(jobs[0]) == vars(typed)
