"""A project's defaults for the GUI, and the list of backbones in its dialog."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from omegaconf import DictConfig, OmegaConf

from beast_lp.errors import BeastError
from beast_lp.host.commands import pretrain
from beast_lp.host.gui import offer_backbone, setup_gui, with_beast


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a project as the GUI makes it, without defaults of its own."""
    folder = tmp_path / 'mein Käfig'
    folder.mkdir()
    (folder / 'project.yaml').write_text('keypoint_names: [nose]\nview_names: []\n')
    return folder


def _load(path: Path) -> DictConfig:
    cfg = OmegaConf.load(path)
    assert isinstance(cfg, DictConfig)
    return cfg


def test_a_new_file_is_whole_and_suits_a_vit(project: Path) -> None:
    path = setup_gui(project, None, ['beast.preset=vit_small'])
    assert path == project / 'configs' / 'default.yaml'
    cfg = _load(path)
    assert cfg.beast == {'preset': 'vit_small', 'output_dir': str(project / 'beast')}
    assert cfg.model.backbone == 'beast'
    assert cfg.training.optimizer == 'AdamW'
    assert cfg.training.optimizer_params.learning_rate == 5e-5
    # the dialog adds no more than it asks for
    assert cfg.eval.colormap and cfg.losses.temporal.epsilon and cfg.training.lr_scheduler
    before = path.read_text()
    assert setup_gui(project, None, []) == path
    assert path.read_text() == before


def test_several_views_take_the_apps_defaults_for_them(project: Path) -> None:
    (project / 'project.yaml').write_text('keypoint_names: [nose]\nview_names: [top, side]\n')
    cfg = _load(setup_gui(project, None, []))
    assert cfg.model.model_type == 'heatmap_multiview_transformer'


def test_a_config_gives_its_section_and_its_settings(project: Path, tmp_path: Path) -> None:
    config = tmp_path / 'c.yaml'
    config.write_text(
        'data: {image_resize_dims: {height: 128, width: 128}}\nmodel: {backbone: resnet50}\n'
        'training: {optimizer: AdamW, optimizer_params: {learning_rate: 3e-4}}\n'
        'beast: {preset: laptop, output_dir: shared, training: {epochs: 7}}\n'
    )
    cfg = _load(setup_gui(project, config, ['beast.training.batch_size=16']))
    assert cfg.beast == {
        'preset': 'laptop',
        'output_dir': str(project / 'shared'),
        'training': {'epochs': 7, 'batch_size': 16},
    }
    assert cfg.training.optimizer_params.learning_rate == 3e-4
    assert cfg.data.image_resize_dims.height == 128


def test_an_existing_file_keeps_every_line(
    project: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = project / 'configs' / 'default.yaml'
    path.parent.mkdir()
    text = '# ours\ntraining:\n  optimizer: Adam  # for ResNets\n'
    path.write_text(text)
    with caplog.at_level('WARNING', 'lightning_pose'):
        setup_gui(project, None, ['beast.preset=laptop'])
    assert path.read_text().startswith(text)
    assert _load(path).beast.preset == 'laptop'
    assert 'AdamW' in caplog.text and '0.0005' in caplog.text

    before = path.read_text()
    with pytest.raises(BeastError, match="beast.preset was 'laptop' and is now 'vit_base'"):
        setup_gui(project, None, ['beast.preset=vit_base'])
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ('text', 'overrides', 'words'),
    [
        (None, ['beast.trainin=1'], "unknown key beast.trainin; did you mean 'training'"),
        ('training: [', [], 'default.yaml'),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_written(
    project: Path,
    text: str | None,
    overrides: list[str],
    words: str,
) -> None:
    path = project / 'configs' / 'default.yaml'
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
    with pytest.raises(BeastError, match=words):
        setup_gui(project, None, overrides)
    assert (path.read_text() if path.exists() else None) == text


def test_a_folder_that_the_gui_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BeastError, match='no project.yaml'):
        setup_gui(tmp_path, None, [])


def test_the_command_finds_the_project_by_its_config(project: Path, tmp_path: Path) -> None:
    parser = pretrain.get_parser()
    config = tmp_path / 'c.yaml'
    config.write_text(f'data: {{data_dir: "{project}"}}\nbeast: {{preset: laptop}}\n')
    pretrain.handle(parser.parse_args([str(config), '--setup_gui']))
    assert _load(project / 'configs' / 'default.yaml').beast.preset == 'laptop'
    for arguments, words in (
        (['--setup_gui'], '--setup_gui needs the folder'),
        ([], 'needs a config file'),
        ([str(config), '--setup_gui', str(project), '--output_dir', 'o'], 'no --output_dir'),
    ):
        with pytest.raises(BeastError, match=words):
            pretrain.handle(parser.parse_args(arguments))


PRETTY = """
var backbones = [
  "resnet18",
  "vitb_imagenet",
  "vitb_sam"
];
var valid = backbones.filter((b) => b.startsWith("vit"));
if (backbone.startsWith("vit")) {}
"""
MINIFIED = 'var a=["resnet18","vitb_imagenet","vitb_sam"],c=a.filter(e=>e.startsWith("vit"));'


@pytest.mark.parametrize('script', [PRETTY, MINIFIED])
def test_both_lists_of_the_dialog_get_the_backbone(script: str) -> None:
    changed = with_beast(script)
    assert changed is not None
    assert changed.count('"beast"') == 2
    assert '"vitb_sam", "beast"' in changed
    assert 'startsWith("vit") || ' in changed


def test_a_host_with_its_own_beast_offers_ours_by_its_other_name(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = with_beast(MINIFIED.replace('"vitb_sam"', '"vitb_sam","beast"'))
    assert changed is not None
    assert changed.count('"beast"') == 1
    assert changed.count('"beast_lp"') == 2
    assert '"beast", "beast_lp"' in changed

    host = tmp_path / 'other host' / 'lightning_pose'
    factory = host / 'models' / 'backbones' / 'factory.py'
    factory.parent.mkdir(parents=True)
    factory.write_text("BACKBONE_STRIDES = {'resnet18': 32, 'beast': 16}\n")
    spec = SimpleNamespace(submodule_search_locations=[str(host)])
    monkeypatch.setattr('beast_lp.host.names.find_spec', lambda name: spec)
    assert _load(setup_gui(project, None, [])).model.backbone == 'beast_lp'


@pytest.mark.parametrize('script', ['', PRETTY + MINIFIED, MINIFIED.replace('vitb_im', 'x')])
def test_a_script_that_looks_different_is_left_alone(script: str) -> None:
    assert with_beast(script) is None


def test_the_installed_app_fits_and_another_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = importlib.util.find_spec('litpose_app')
    assert spec is not None and spec.submodule_search_locations
    (script,) = Path(spec.submodule_search_locations[0]).rglob('main-*.js')
    assert with_beast(script.read_text(encoding='utf-8')) is not None
    with caplog.at_level('WARNING', 'lightning_pose'):
        offer_backbone(ModuleType('litpose_app.main'))
    assert 'cannot offer beast' in caplog.text
