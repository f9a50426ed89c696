"""Lightning Pose's GUI (`lightning-pose-app`): `beast` in its dialog, pretraining in its projects.

The dialog for a new model reads a project's `configs/default.yaml`, where there is one, in place
of the app's own defaults. It sets the values that it asks for and keeps all others, so a `beast:`
section there makes every model with `backbone: beast` pretrain first.
"""

import importlib.util
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from beast_lp.config import BeastConfig, parse_config
from beast_lp.errors import BeastError
from beast_lp.host.compose import compose_config, load_config
from beast_lp.host.names import BACKBONE, OWN_NAME, free_backbone_name
from beast_lp.host.pose_optimizer import has_resnet_optimizer, suitable_learning_rate
from beast_lp.runs.files import finished_file
from beast_lp.runs.settings import difference

logger = logging.getLogger(f'lightning_pose.{__name__}')

# path in a project's folder at which the app looks for it
DEFAULTS = Path('configs', 'default.yaml')
# in the app's page: the list of backbones, and the filter of those for multiview models
_BACKBONES = re.compile(r'("vitb_imagenet",[^\]]*?)(\s*\])')
_MULTIVIEW = re.compile(r'(\.filter\(\(?(\w+)\)?\s*=>\s*)(\2\.startsWith\("vit"\))(?=\))')


# ---------------------------------------------------------------------------------------------
# the defaults of a project
# ---------------------------------------------------------------------------------------------


def setup_gui(project: Path, config_file: Path | None, overrides: Sequence[str]) -> Path:
    """Make the GUI pretrain in a project: write a `beast:` section into its defaults.

    An existing file keeps every line and gets the section at its end. A new file is a copy of the
    given config, or of the app's own defaults with an optimiser that suits a ViT.

    Args:
        project: folder of a project of the GUI.
        config_file: pose config whose `beast:` section is used.
        overrides: overrides of its settings, in Hydra's grammar.

    Returns:
        the path of the file of defaults.

    Raises:
        BeastError: if the folder is no project, or has a section with other settings.
    """
    project = project.absolute()
    if not (project / 'project.yaml').is_file():
        raise BeastError(
            f'{project} is no project of the GUI: it has no project.yaml; start `litpose run_app` '
            'and create the project there, or give the folder that holds its videos'
        )
    path = project / DEFAULTS
    exists = path.is_file()
    source = config_file or (path if exists else _app_defaults(project))
    cfg = compose_config(source, overrides)
    section = _section(cfg, project)
    if exists:
        _append(path, section)
    else:
        path.parent.mkdir(exist_ok=True)
        with finished_file(path) as part:
            part.write_text(
                '# The GUI starts every new model from this file.\n' + _whole(cfg, section),
                encoding='utf-8',
            )
    logger.info(
        f'beast: the GUI takes its defaults from {path}\n'
        '  start it     litpose run_app\n'
        '  there        Models, New model, Regular model, backbone: beast'
    )
    return path


def _section(cfg: DictConfig, project: Path) -> dict[str, Any]:
    """Return the checked `beast:` section, with one output directory for all models."""
    section = cast(
        dict[str, Any],
        OmegaConf.to_container(cfg.get('beast') or OmegaConf.create(), resolve=True),
    )
    section = {'preset': BeastConfig.preset, **section}
    # the GUI starts each training in the folder of its model
    section['output_dir'] = str(project / str(section.get('output_dir') or 'beast'))
    parse_config(section)
    return section


def _append(path: Path, section: Mapping[str, Any]) -> None:
    """Add the section to a file that lacks it; a file that has the same section stays."""
    try:
        before = path.read_text(encoding='utf-8')
        there = OmegaConf.create(before)
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, ValueError) as error:
        raise BeastError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    if not isinstance(there, DictConfig):
        raise BeastError(f'{path} must be a mapping of settings; mend or remove it')
    if there.get('beast') is not None:
        found = OmegaConf.to_container(there.beast, resolve=True)
        changed = difference({'beast': found}, {'beast': section})
        if changed:
            raise BeastError(
                f'{path} has a beast: section with other settings ({changed}); change it '
                'there, or remove it and run this command again'
            )
        logger.info('beast: the section is there already')
        return
    with finished_file(path) as part:
        part.write_text(
            f'{before.rstrip()}\n\n{OmegaConf.to_yaml(OmegaConf.create({"beast": section}))}',
            encoding='utf-8',
        )
    if has_resnet_optimizer(there):
        logger.warning(
            f'beast: {path} keeps an optimizer that suits a ResNet; for a ViT set '
            f'training.optimizer to AdamW and training.optimizer_params.learning_rate to '
            f'{suitable_learning_rate(parse_config(section).model.hidden_size):g} there'
        )


def _whole(cfg: DictConfig, section: Mapping[str, Any]) -> str:
    """Return the text of a new file of defaults."""
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.beast = OmegaConf.create(dict(section))
        OmegaConf.update(cfg, 'model.backbone', free_backbone_name())
        if has_resnet_optimizer(cfg):
            rate = suitable_learning_rate(parse_config(section).model.hidden_size)
            OmegaConf.update(cfg, 'training.optimizer', 'AdamW')
            OmegaConf.update(cfg, 'training.optimizer_params.learning_rate', rate)
    return OmegaConf.to_yaml(cfg)


def _app_defaults(project: Path) -> Path:
    """Return the app's own defaults for a project with one view or several."""
    spec = importlib.util.find_spec('litpose_app')
    if spec is None or not spec.submodule_search_locations:
        raise BeastError(
            'the GUI is not installed (pip install lightning-pose-app), so its defaults are not '
            'known; give a pose config: litpose pretrain my_config.yaml --setup_gui PROJECT'
        )
    views = OmegaConf.select(load_config(project / 'project.yaml'), 'view_names', default=None)
    name = 'config_default_multiview.yaml' if len(views or []) > 1 else 'config_default.yaml'
    return Path(spec.submodule_search_locations[0]) / name


# ---------------------------------------------------------------------------------------------
# the dialog
# ---------------------------------------------------------------------------------------------


def offer_backbone(module: ModuleType) -> None:
    """Let the app's dialog offer `beast` among the backbones.

    The page's script is changed on its way to the browser; no file is changed. Where the script
    looks different, there is one warning and the app stays as it was: `backbone: beast` still
    works in `configs/default.yaml` and over HTTP.

    Args:
        module: module `main` of the app.
    """
    app, static = getattr(module, 'app', None), getattr(module, 'STATIC_DIR', None)
    scripts = sorted(static.glob('main-*.js')) if isinstance(static, Path) else []
    routes = getattr(getattr(app, 'router', None), 'routes', None)
    script = None
    if len(scripts) == 1 and isinstance(routes, list):
        script = with_beast(scripts[0].read_text(encoding='utf-8'))
    if script is None:
        logger.warning(
            'beast: the dialog of the installed lightning-pose-app looks different from those '
            'that beast-lp knows, so it cannot offer beast there; write backbone: beast in the '
            'config and train with `litpose train`'
        )
        return
    from starlette.responses import Response
    from starlette.routing import Route

    async def serve(request: object) -> Response:
        return Response(
            script, media_type='text/javascript', headers={'Cache-Control': 'no-cache'}
        )

    # before the app's own route, since the first match serves
    cast(list[Any], routes).insert(0, Route(f'/static/{scripts[0].name}', serve))


def with_beast(script: str) -> str | None:
    """Add `beast` to the app's lists of backbones for single-view and multiview models.

    Args:
        script: JavaScript, minified or not.

    Returns:
        the changed script; None unless it has exactly one list of each kind.
    """
    found = _BACKBONES.search(script)
    # the host may offer a backbone of this name by itself
    name = OWN_NAME if found and f'"{BACKBONE}"' in found[0] else BACKBONE
    script, lists = _BACKBONES.subn(rf'\1, "{name}"\2', script)
    script, filters = _MULTIVIEW.subn(rf'\1(\3 || \2 === "{name}")', script)
    return script if (lists, filters) == (1, 1) else None
