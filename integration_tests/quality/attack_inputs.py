"""The bad inputs of `attack.py`: each a command line, and the files that it names.

Adding a new kind of bad file: write it in `bad_files.py` and enter it in its table there; every
command that reads such files gets it. Adding a new place of a file: add a function here that
yields an `Input` for each kind, and enter it in `all_inputs`. An input that is rightly accepted
says why in `right`; an accepted one without a reason is to be looked at.
"""

# the inputs are wrong on purpose, in type too
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportRedeclaration=false, reportReturnType=false, reportCallIssue=false

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from bad_files import (
    ALF,
    ANYWHERE,
    ARRAYS,
    CANARY,
    CHECKPOINTS,
    CONFIGS,
    DAMAGES,
    KEYPOINTS,
    LABELS,
    NAMES,
    NWB,
    SAFETENSORS,
    SPIKES,
    VIDEOS,
    Writer,
    damage,
    named_class,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from beast_lp.config import BeastConfig

__all__ = ['CANARY', 'COMMANDS', 'Input', 'Lab', 'all_inputs']

COMMANDS = (
    'pretrain',
    'embed',
    'encode',
    'segment train',
    'segment predict',
    'segment evaluate',
    'compare',
    'motion_bbox',
    'beast_demo',
    'train',
)
# commands that read a config, and those that take an output directory
WITH_CONFIG = (
    'pretrain',
    'encode',
    'segment train',
    'segment predict',
    'segment evaluate',
    'motion_bbox',
)
WITH_OUTPUT = (*WITH_CONFIG, 'embed', 'compare', 'beast_demo')
# examples that Hypothesis draws for each use
DRAWN = 24
QUICK = {
    'training': {'steps': 2, 'num_workers': 0, 'precision': 'fp32', 'batch_size': 8},
    'windows': {'processes': 1},
    'segmentation': {
        'fitting': {'epochs': 1, 'ensemble': 1},
        'features': 'cls',
        'split': {'test_videos': None, 'by': 'none'},
    },
    'encoding': {'encoders': ['ridge'], 'controls': {'shifts': 1, 'permutations': 1}},
}


class Lab:
    """A finished tiny demo, and a folder for the files of one input.

    Attributes:
        made: folder of the demo; nothing in it is changed.
        scratch: folder of the input.
    """

    def __init__(self, made: Path, scratch: Path) -> None:
        """Name both folders."""
        self.made, self.scratch = made, scratch
        self.videos = [made / 'project' / place for place in VIDEO_PLACES]
        self.output = scratch / 'out'

    def config(self, changes: Mapping[str, object] | None = None) -> Path:
        """Write a config of the project.

        Args:
            changes: values by their keys in full, such as `beast.seed`.
        """
        text = (self.made / 'project' / 'config_demo.yaml').read_text(encoding='utf-8')
        content = yaml.safe_load(text)
        _merge(content['beast'], QUICK)
        content['beast']['segmentation']['source'] = str(self.made / 'pretraining')
        content['beast']['segmentation']['features_dir'] = str(
            self.made / 'segmentation' / 'features'
        )
        for key, value in (changes or {}).items():
            _set(content, key.split('.'), value)
        path = self.scratch / 'config.yaml'
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding='utf-8')
        return path

    def copy(self, name: str) -> Path:
        """Copy a folder of the demo into the input's own."""
        return shutil.copytree(
            self.made / name,
            self.scratch / name,
            symlinks=True,
            ignore=shutil.ignore_patterns('figures', 'tb_logs/*.html'),
        )

    def write(self, name: str, writer: Writer) -> Path:
        """Write a file into the input's folder; return its path."""
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(path)
        return path


VIDEO_PLACES = ('videos/session_01.mp4', 'videos_test/session_02.mp4')
Arguments = Callable[[Lab], list[str]]


@dataclass(frozen=True)
class Input:
    """One bad input.

    Attributes:
        command: command that gets it, one of `COMMANDS`.
        what: description.
        arguments: writes the files and returns the arguments of `litpose`.
        right: the reason why accepting it is right; empty where it must be refused.
    """

    command: str
    what: str
    arguments: Arguments
    right: str = ''

    def __str__(self) -> str:
        """Return what a person needs to find the input again."""
        return f'{self.command}: {self.what!r}'


def _merge(content: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            _merge(content.setdefault(key, {}), value)
        else:
            content[key] = value


def _set(content: dict[str, Any], keys: list[str], value: object) -> None:
    *groups, last = keys
    for group in groups:
        content = content.setdefault(group, {})
    content[last] = value


def call(
    command: str,
    lab: Lab,
    *,
    config: Path | None = None,
    changes: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    source: str | Path | None = None,
    videos: list[str | Path] | None = None,
    spikes: str | None = None,
    features: str | None = None,
    model: Path | None = None,
    models: str | None = None,
    labels: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> list[str]:
    """Return a command line that is good but for what is given.

    Args:
        command: one of `COMMANDS`.
        lab: where everything lies.
        config: pose config; None for that of the project with `changes`.
        changes: settings by their keys in full.
        output: value of --output_dir.
        source: source of `embed`.
        videos: videos of `embed`, `motion_bbox`, `segment predict` and `segment evaluate`.
        spikes: recording of `encode`.
        features: features of `encode`.
        model: directory of the segmenter.
        models: models of `compare`.
        labels: table of labels of `compare`.
        overrides: overrides of the config.
    """
    made = lab.made
    words = command.split()
    if command in (*WITH_CONFIG, 'train'):
        words.append(str(config or lab.config(changes)))
    if command == 'embed':
        words += [str(source or made / 'pretraining'), *map(str, videos or lab.videos[:1])]
    if command == 'encode':
        good = f'{made / "project/spikes/session_01.npz"}'
        words += ['--spikes', good if spikes is None else spikes]
        good = f'beast={made / "features/beast"}'
        words += ['--features', good if features is None else features]
    if command in ('segment predict', 'segment evaluate'):
        words += ['--model_dir', str(model or made / 'segmentation')]
        words += ['--videos', *map(str, videos or lab.videos[1:])]
    if command == 'compare':
        words += [models or f'beast={made / "pose"},{made / "pose_2"}']
        words += ['--labels', str(labels or made / 'project' / 'CollectedData_new.csv')]
    if command == 'motion_bbox':
        words += map(str, videos or [])
    if command == 'beast_demo':
        words.append('--tiny')
    words += ['--output_dir', str(output or lab.output)]
    if overrides:
        words += ['--overrides', *overrides]
    return words


def _reason(reasons: Mapping[str, str], *keys: str) -> str:
    """Return the reason of the first key that has one."""
    return next((reasons[key] for key in keys if key in reasons), '')


# ---------------------------------------------------------------------------------------------
# settings
# ---------------------------------------------------------------------------------------------


def _settings_of(schema: type, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the name in full and the type of every setting of a schema."""
    hints = get_type_hints(schema)
    for item in fields(schema):
        name, kind = f'{path}.{item.name}', hints[item.name]
        if is_dataclass(kind):
            yield from _settings_of(kind, name)
        else:
            yield name, kind


def _command_of(setting: str) -> str:
    stages = {'beast.segmentation.': 'segment train', 'beast.encoding.': 'encode'}
    return next((c for prefix, c in stages.items() if setting.startswith(prefix)), 'pretrain')


def _wrong_values(kind: Any) -> dict[str, object]:
    """Return wrong values of a setting by their description."""
    text = str(kind)
    values: dict[str, object] = {'a mapping': {'a': 1}, 'lists in lists': [[1], [[2]]]}
    if 'int' in text or 'float' in text:
        values |= {'text': 'many', 'NaN': float('nan'), 'infinite': float('inf'), '-1': -1}
        values |= {'10**30': 10**30, 'an empty text': ''}
    if 'bool' in text:
        values |= {'text': 'perhaps', '7': 7}
    if 'str' in text or 'Any' in text:
        values |= {'a NUL': 'a\0b', '5,000 letters': 'x' * 5000, 'HTML': '<b>'}
    if 'list' in text:
        values |= {'an empty list': [], 'a list of null': [None]}
    return values


_UNUSED = 'this command, or this combination of settings, does not use it'
SETTINGS_RIGHT = {
    'beast.output_dir': '`litpose train` alone uses it',
    'beast.tune_epochs': 'beast.tune is off',
    'beast.probe.every_epochs 10**30': 'no epoch is measured',
    'beast.training.epochs 10**30': 'the length of a run is for the user to choose',
    'beast.training.checkpoint_minutes': 'so long without a checkpoint means none',
    'beast.segmentation.fitting.checkpoint_minutes': 'so long without a checkpoint means none',
    'beast.augmentation.shared_geometry 7': 'a number other than 0 is true',
    'beast.loss.norm_pix_loss 7': 'a number other than 0 is true',
    'beast.loss.learn_temperature 7': 'a number other than 0 is true',
    'beast.segmentation.head.linear 7': 'a number other than 0 is true',
    'beast.loss.gather_negatives 7': 'a number other than 0 is true',
    'beast.training.gradient_checkpointing 7': 'a number other than 0 is true',
    'beast.training.num_workers': 'fewer are started where there is little to read',
    'beast.windows.processes': 'no more are started than there are videos',
    'beast.encoding.features': '--features takes precedence',
    'beast.encoding.spikes': '--spikes takes precedence',
    'beast.encoding.clock_offset_s -1': 'a clock may be a second ahead',
    'beast.encoding.max_gap_s 10**30': 'no gap is left out then',
    'beast.encoding.components 10**30': 'all are kept then',
    'beast.encoding.trials.window': 'there are no trials',
    'beast.segmentation.subject': 'the labels name no subjects',
    'beast.segmentation.source': 'features_dir takes precedence',
    'beast.segmentation.keypoints_dir': 'features are not keypoints',
    'beast.segmentation.patch_grid': 'features_dir has its own grid',
    'beast.segmentation.split.test_fraction': 'nothing is held out (by: none)',
    'beast.segmentation.split.folds': 'nothing is held out (by: none)',
    'beast.segmentation.split.test_videos an empty list': 'an empty list is no test video',
    'beast.segmentation.classes an empty list': 'an empty list is none given',
    'beast.segmentation.ignore': 'what no file names is not left out',
    'beast.segmentation.fitting.sequence_frames 10**30': 'a video is one sequence then',
    'beast.segmentation.decoding.min_bout_frames 10**30': 'training scores nothing here',
    'beast.videos an empty list': 'an empty list is none given',
    'beast.projects an empty list': 'an empty list is the default',
    'beast.tune an empty list': 'an empty list is the default',
}


def wrong_settings() -> Iterator[Input]:
    """Yield every setting with values of the wrong type, out of range, or no numbers."""
    for setting, kind in _settings_of(BeastConfig, 'beast'):
        command = _command_of(setting)
        for what, value in _wrong_values(kind).items():
            yield Input(
                command,
                f'setting {setting}: {what}',
                lambda lab, c=command, s=setting, v=value: call(c, lab, changes={s: v}),
                _reason(SETTINGS_RIGHT, f'{setting} {what}', setting),
            )
        group, _, name = setting.rpartition('.')
        yield Input(
            command,
            f'setting {group}.{name[:-1]} (misspelt)',
            lambda lab, c=command, s=setting: call(c, lab, changes={s[:-1]: 1}),
        )


def _drawn(strategy: st.SearchStrategy[Any], count: int = DRAWN) -> list[Any]:
    """Return examples of a strategy, the same ones in every run."""
    found: list[Any] = []

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        if value not in found:
            found.append(value)

    collect()
    return found


def drawn_overrides() -> Iterator[Input]:
    """Yield overrides as a person may mistype them."""
    names = [name for name, _ in _settings_of(BeastConfig, 'beast')]
    value = st.one_of(
        st.text(alphabet='[]{}()=,:"\'$\\ \n\tab0-~+', max_size=8),
        st.floats().map(str),
        st.integers(min_value=2**40).map(str),
    )
    override = st.one_of(
        st.tuples(st.sampled_from(names), value).map('='.join),
        st.text(alphabet='beast.=[]{}$~+@/ ', min_size=1, max_size=12).filter(
            lambda text: not text.startswith('-')
        ),
    )
    for text in _drawn(override, 2 * DRAWN):
        command = _command_of(text)
        yield Input(
            command,
            f'override {text!r}',
            lambda lab, c=command, o=text: call(c, lab, overrides=(o,)),
            _reason(OVERRIDES_RIGHT, text),
        )


_GOOD = 'it is a good override'
OVERRIDES_RIGHT: dict[str, str] = {
    'beast.training.num_workers=0': _GOOD,
    'beast.augmentation.crop_pad_probability=0.0': _GOOD,
}


# ---------------------------------------------------------------------------------------------
# configs, output directories, options
# ---------------------------------------------------------------------------------------------

_PREDICTS = 'all that prediction needs comes from the model and the command line'
CONFIGS_RIGHT: dict[str, str] = {
    **{
        f'segment predict: {what}': _PREDICTS
        for what in (
            'empty',
            'a word',
            'dates as keys',
            'numbers as keys',
            'a NUL in a path',
            'numbers as paths',
            'a mapping as a path',
        )
    },
}


def bad_configs() -> Iterator[Input]:
    """Yield config files that cannot be read, for every command that reads one."""
    for command in WITH_CONFIG:
        for what, writer in CONFIGS.items():
            yield Input(
                command,
                f'config: {what}',
                lambda lab, c=command, w=writer: call(c, lab, config=lab.write('bad.yaml', w)),
                _reason(CONFIGS_RIGHT, f'{command}: {what}', what),
            )


# where a directory of results cannot, or can, be; a function of the input's folder
OUTPUTS: dict[str, Callable[[Lab], str | Path]] = {
    'a file': lambda lab: lab.write('file', Path.touch),
    'below a file': lambda lab: lab.write('file', Path.touch) / 'out' / 'deep',
    'a device': lambda lab: '/dev/null',
    'below a device': lambda lab: '/dev/null/out',
    'in /proc': lambda lab: '/proc/out',
    'a link loop': lambda lab: lab.write('loop', ANYWHERE['a link loop']),
    'below a link loop': lambda lab: lab.write('loop', ANYWHERE['a link loop']) / 'out',
    'a dangling link': lambda lab: lab.write('link', ANYWHERE['a dangling link']),
    'a FIFO': lambda lab: lab.write('fifo', ANYWHERE['a FIFO']),
    'a name too long': lambda lab: lab.scratch / ('x' * 300),
    'a path too long': lambda lab: lab.scratch / '/'.join(['x' * 200] * 30),
    'a NUL': lambda lab: f'{lab.scratch}/a\0b',
    'a folder for the lock': lambda lab: lab.write('out/.lock', Path.mkdir).parent,
    'the root': lambda lab: '/',
}


def bad_outputs() -> Iterator[Input]:
    """Yield directories of results that cannot be, for every command that writes one."""
    for command in WITH_OUTPUT:
        for what, place in OUTPUTS.items():
            if what == 'the root' and command not in ('segment predict', 'segment evaluate'):
                # they would write there, as they are told to
                continue
            if what == 'a folder for the lock' and command == 'beast_demo':
                continue
            yield Input(
                command,
                f'output_dir: {what}',
                lambda lab, c=command, p=place: call(c, lab, output=p(lab)),
                _reason(OUTPUTS_RIGHT, f'{command}: {what}', what),
            )


OUTPUTS_RIGHT: dict[str, str] = {
    'compare: a folder for the lock': 'compare takes no lock',
    'embed: a folder for the lock': 'the folder of each video has a lock of its own',
}

OPTIONS: dict[str, list[str]] = {
    'no arguments': [],
    'an unknown option': ['--no_such_option'],
    'a help that is misspelt': ['--hlep'],
}
EMBED_OPTIONS: dict[str, list[str]] = {
    'stride 0': ['--stride', '0'],
    'stride -1': ['--stride', '-1'],
    'stride 10**30': ['--stride', str(10**30)],
    'batch_size 0': ['--batch_size', '0'],
    'batch_size 10**30': ['--batch_size', str(10**30)],
    'image_size of 100,000 px': ['--image_size', '100000', '100000'],
    'image_size that is no multiple of patches': ['--image_size', '63', '65'],
    'image_size of one': ['--image_size', '64'],
    'patch_grid without patches': ['--patch_grid', '2'],
    'patch_grid 0': ['--patches', '--patch_grid', '0'],
    'patch_grid 10**6': ['--patches', '--patch_grid', '1000000'],
    'patch_dim 0': ['--patches', '--patch_dim', '0'],
    'patch_dim 10**6': ['--patches', '--patch_dim', '1000000'],
    'pca_components with a backbone': ['--pca_components', '3'],
    'precision fp8': ['--precision', 'fp8'],
    'bbox_dir that is missing': ['--bbox_dir', 'nowhere'],
    'bbox_dir that is a device': ['--bbox_dir', '/dev/null'],
}
PREDICT_OPTIONS: dict[str, list[str]] = {
    'clip_seconds NaN': ['--clip_seconds', 'nan'],
    'clip_seconds infinite': ['--clip_seconds', 'inf'],
    'clip_seconds -1': ['--clip_seconds', '-1'],
    'clip_seconds 1e-9': ['--clip_seconds', '1e-9'],
    'clip_seconds 1e300': ['--clip_seconds', '1e300'],
}


def bad_options() -> Iterator[Input]:
    """Yield command lines that are not what the help says."""
    for command in COMMANDS[:-1]:
        for what, words in OPTIONS.items():
            if command != 'beast_demo' or words:
                yield Input(
                    command,
                    f'options: {what}',
                    lambda lab, c=command, w=words: [*c.split(), *w],
                )
    for command, options in (('embed', EMBED_OPTIONS), ('segment predict', PREDICT_OPTIONS)):
        for what, words in options.items():
            yield Input(
                command,
                f'options: {what}',
                lambda lab, c=command, w=words: [*call(c, lab), *w],
                _reason(OPTIONS_RIGHT, what),
            )
    for what, models in {
        'a name with ..': '../x={a},{b}',
        'a name with /': 'a/b={a},{b}',
        'no name': '={a},{b}',
        'one model': 'x={a}',
        'a model twice': 'x={a},{a}',
        'no =': '{a},{b}',
        'commas alone': 'x=,,,',
        'a missing model': 'x={a},/nowhere',
        'a file for a model': 'x={a},/dev/null',
        'a NUL': 'x={a},\0',
    }.items():
        yield Input(
            'compare',
            f'models: {what}',
            lambda lab, m=models: call(
                'compare', lab, models=m.format(a=lab.made / 'pose', b=lab.made / 'pose_2')
            ),
        )
    for option in ('--spikes', '--features'):
        for what, text in {
            'no name': '=x',
            'a name with ..': '..=x',
            'a name with /': 'a/b=x',
            'nothing': '',
            'commas alone': 'x=,,',
            'a NUL': 'x=\0',
            'a directory': 'x=/',
        }.items():
            yield Input(
                'encode',
                f'{option}: {what}',
                lambda lab, o=option, t=text: call('encode', lab, **{o.strip('-'): t}),
                _reason(OPTIONS_RIGHT, f'{option}: {what}'),
            )


OPTIONS_RIGHT: dict[str, str] = {
    'stride 10**30': 'the first frame alone has features then',
    'batch_size 10**30': 'a batch is no larger than the video',
    'clip_seconds 1e300': 'the clip is the whole video',
    'clip_seconds 1e-9': 'the clip is one frame',
}


# ---------------------------------------------------------------------------------------------
# videos and names
# ---------------------------------------------------------------------------------------------

_STILL_VIDEO = 'its frames can be decoded'
VIDEOS_RIGHT: dict[str, str] = {
    '16 px': _STILL_VIDEO,
    'one frame': _STILL_VIDEO,
    'half a file': 'frames before the damage count, and the log says so',
    'holes': 'frames that decode count, and the log says so',
}


def bad_videos() -> Iterator[Input]:
    """Yield videos that cannot be read, for every command that reads one."""
    for what, writer in VIDEOS.items():
        for command in ('embed', 'segment predict', 'motion_bbox', 'pretrain', 'segment train'):

            def arguments(lab: Lab, command: str = command, writer: Writer = writer) -> list[str]:
                video = lab.write('videos/session_01.mp4', writer)
                if command in ('embed', 'segment predict', 'motion_bbox'):
                    return call(command, lab, videos=[video])
                setting = (
                    'data.video_dir' if command == 'pretrain' else 'beast.segmentation.videos'
                )
                changes = {setting: str(video), 'beast.segmentation.features_dir': None}
                return call(command, lab, changes=changes)

            yield Input(
                command,
                f'video: {what}',
                arguments,
                _reason(VIDEOS_RIGHT, f'{command}: {what}', what),
            )


def _copied(lab: Lab, video: Path, name: str) -> Path:
    folder = lab.scratch / 'named'
    folder.mkdir()
    return shutil.copy(video, folder / f'{name}.mp4')


def odd_names() -> Iterator[Input]:
    """Yield good files under names that break pages, figures, file names or logs."""
    drawn = _drawn(
        st.text(
            st.characters(codec='utf-8', exclude_characters='/\0'), min_size=1, max_size=20
        ).filter(lambda name: name not in ('.', '..')),
        12,
    )
    names = {**NAMES, **{f'drawn {name!r}': name for name in drawn}}
    for what, name in names.items():
        if name != '..':
            yield Input(
                'segment predict',
                f'video called {what}',
                lambda lab, n=name: call(
                    'segment predict',
                    lab,
                    videos=[_copied(lab, lab.videos[1], n)],
                ),
                'a file may be called so',
            )
            yield Input(
                'embed',
                f'video and output_dir called {what}',
                lambda lab, n=name: [
                    *call(
                        'embed',
                        lab,
                        source='pca',
                        videos=[_copied(lab, lab.videos[0], n)],
                        output=lab.scratch / n,
                    ),
                    '--pca_components=5',
                ],
                'a file and a folder may be called so',
            )
        yield Input(
            'segment train',
            f'class called {what}',
            lambda lab, n=name: call(
                'segment train',
                lab,
                changes={
                    'beast.segmentation.labels': str(
                        lab.write('labels/session_01.csv', named_class(n)).parent
                    )
                },
            ),
            'a behaviour may be called so',
        )
        yield Input(
            'encode',
            f'features called {what}',
            lambda lab, n=name: call(
                'encode', lab, features=f'{n}={lab.made / "features" / "beast"}'
            ),
            'features may be called so',
        )
    for name in ('scored', 'frame', 'time', '', 'background', 'unscored', 'video', 'true'):
        yield Input(
            'segment train',
            f'class called {name!r}',
            lambda lab, n=name: call(
                'segment train',
                lab,
                changes={
                    'beast.segmentation.labels': str(
                        lab.write('labels/session_01.csv', named_class(n)).parent
                    )
                },
            ),
            'no column of ours has that name, or classes have columns of their own',
        )


# ---------------------------------------------------------------------------------------------
# labels, keypoints, features, spikes
# ---------------------------------------------------------------------------------------------

LABELS_RIGHT: dict[str, str] = {'segment evaluate: UTF-16 and good': 'its mark says what it is'}
_SEPARATOR = 'the header says what separates the columns'
KEYPOINTS_RIGHT: dict[str, str] = {'semicolons': _SEPARATOR, 'tabs': _SEPARATOR}
ARRAYS_RIGHT: dict[str, str] = {}
SPIKES_RIGHT: dict[str, str] = {}


def bad_labels() -> Iterator[Input]:
    """Yield tables of labels that cannot be used, in training and evaluation."""
    for what, writer in LABELS.items():
        for command, video in (('segment train', 1), ('segment evaluate', 2)):

            def arguments(
                lab: Lab,
                command: str = command,
                video: int = video,
                writer: Writer = writer,
                alone: bool = 'BORIS' in what,
            ) -> list[str]:
                file = lab.write(f'labels/session_{video:02d}.csv', writer)
                place = file if alone else file.parent
                return call(command, lab, changes={'beast.segmentation.labels': str(place)})

            yield Input(
                command,
                f'labels: {what}',
                arguments,
                _reason(LABELS_RIGHT, f'{command}: {what}', what),
            )
    for what, writer in ANYWHERE.items():
        yield Input(
            'segment train',
            f'labels as one file: {what}',
            lambda lab, w=writer: call(
                'segment train',
                lab,
                changes={'beast.segmentation.labels': str(lab.write('labels.csv', w))},
            ),
        )


def bad_keypoints() -> Iterator[Input]:
    """Yield tables of keypoints that cannot be used, wherever they are read."""
    for what, writer in KEYPOINTS.items():
        yield Input(
            'encode',
            f'keypoints: {what}',
            lambda lab, w=writer: call(
                'encode', lab, features=f'pose={lab.write("session_01.csv", w)}'
            ),
            _reason(KEYPOINTS_RIGHT, f'encode: {what}', what),
        )
        yield Input(
            'segment train',
            f'keypoints: {what}',
            lambda lab, w=writer: call(
                'segment train',
                lab,
                changes={
                    'beast.segmentation.features': 'keypoints',
                    'beast.segmentation.features_dir': None,
                    'beast.segmentation.keypoints_dir': str(
                        lab.write('kp/session_01.csv', w).parent
                    ),
                },
            ),
            _reason(KEYPOINTS_RIGHT, f'segment train: {what}', what),
        )
        yield Input(
            'compare',
            f'labels: {what}',
            lambda lab, w=writer: call('compare', lab, labels=lab.write('labels.csv', w)),
            _reason(KEYPOINTS_RIGHT, f'compare: {what}', what),
        )
        yield Input(
            'pretrain',
            f'labels of the probe: {what}',
            lambda lab, w=writer: call(
                'pretrain',
                lab,
                changes={
                    'data.csv_file': str(lab.write('labels.csv', w)),
                    'beast.probe.every_epochs': 1,
                },
            ),
            _reason(KEYPOINTS_RIGHT, f'pretrain: {what}', what),
        )


def bad_boxes() -> Iterator[Input]:
    """Yield files of boxes that cannot be used."""
    boxes = {
        **ANYWHERE,
        'text in numbers': lambda path: path.write_text('x,y,h,w\n' + 'a,b,c,d\n' * 60),
        'NaN': lambda path: path.write_text('x,y,h,w\n' + 'nan,nan,nan,nan\n' * 60),
        'no columns': lambda path: path.write_text('a,b\n' + '1,2\n' * 60),
        'boxes of no size': lambda path: path.write_text('x,y,h,w\n' + '1,2,0,0\n' * 60),
        'huge boxes': lambda path: path.write_text('x,y,h,w\n' + '1,2,1e9,1e9\n' * 60),
        'boxes outside': lambda path: path.write_text('x,y,h,w\n' + '9000,9000,10,10\n' * 60),
        'too few rows': lambda path: path.write_text('x,y,h,w\n' + '1,2,10,10\n' * 6),
        'UTF-16': lambda path: path.write_bytes('x,y,h,w\n'.encode('utf-16')),
    }
    for what, writer in boxes.items():
        yield Input(
            'embed',
            f'boxes: {what}',
            lambda lab, w=writer: [
                *call('embed', lab),
                '--bbox_dir',
                str(lab.write('boxes/session_01_bbox.csv', w).parent),
            ],
            _reason(KEYPOINTS_RIGHT, f'boxes: {what}'),
        )


def bad_arrays() -> Iterator[Input]:
    """Yield damaged feature stores, camera times and events."""
    for what, writer in ARRAYS.items():
        for name in ('cls', 'frame', 'time'):
            if name != 'cls' and what not in ('NaN', 'falling numbers', 'pickled objects'):
                continue
            for command in ('encode', 'segment train'):

                def arguments(
                    lab: Lab, command: str = command, name: str = name, writer: Writer = writer
                ) -> list[str]:
                    store = lab.copy('segmentation/features') / 'session_01'
                    (store / f'{name}.npy').unlink()
                    writer(store / f'{name}.npy')
                    if command == 'encode':
                        return call(command, lab, features=f'x={store}')
                    changes = {'beast.segmentation.features_dir': str(store.parent)}
                    return call(command, lab, changes=changes)

                yield Input(
                    command,
                    f'{name}.npy of a store: {what}',
                    arguments,
                    _reason(ARRAYS_RIGHT, f'{name}: {what}'),
                )
        for setting in ('camera_times', 'trials.events'):
            yield Input(
                'encode',
                f'{setting}: {what}',
                lambda lab, s=setting, w=writer: call(
                    'encode', lab, changes={f'beast.encoding.{s}': str(lab.write('x.npy', w))}
                ),
                _reason(ARRAYS_RIGHT, f'{setting}: {what}'),
            )


def bad_spikes() -> Iterator[Input]:
    """Yield recordings that cannot be used."""
    for kinds, name in ((SPIKES, 'session_01.npz'), (NWB, 'session_01.nwb'), (ALF, 'session_01')):
        for what, writer in kinds.items():
            yield Input(
                'encode',
                f'spikes ({name}): {what}',
                lambda lab, n=name, w=writer: call('encode', lab, spikes=str(lab.write(n, w))),
                _reason(SPIKES_RIGHT, f'{name}: {what}', what),
            )


# ---------------------------------------------------------------------------------------------
# checkpoints, and our own files
# ---------------------------------------------------------------------------------------------

CHECKPOINTS_RIGHT: dict[str, str] = {}


def _uses_of_weights(lab: Lab, command: str, path: Path) -> list[str]:
    if command == 'embed':
        return call('embed', lab, source=path)
    if command == 'pretrain':
        return call('pretrain', lab, changes={'beast.init': str(path)})
    if command == 'train':
        return call('train', lab, overrides=(f'+model.backbone_checkpoint={path}',))
    changes = {'beast.segmentation.source': str(path), 'beast.segmentation.features_dir': None}
    return call('segment train', lab, changes=changes)


def bad_checkpoints() -> Iterator[Input]:
    """Yield weights that cannot be used, or run code, for every command that reads weights."""
    for command in ('embed', 'pretrain', 'segment train', 'train'):
        for what, writer in CHECKPOINTS.items():
            yield Input(
                command,
                f'weights: {what}',
                lambda lab, c=command, w=writer: _uses_of_weights(lab, c, lab.write('w.ckpt', w)),
                _reason(CHECKPOINTS_RIGHT, f'{command}: {what}', what),
            )
    for command in ('embed', 'train'):
        for what, writer in SAFETENSORS.items():

            def arguments(lab: Lab, command: str = command, writer: Writer = writer) -> list[str]:
                backbone = shutil.copytree(lab.made / 'pretraining/backbone', lab.scratch / 'b')
                (backbone / 'model.safetensors').unlink()
                writer(backbone / 'model.safetensors')
                return _uses_of_weights(lab, command, backbone)

            yield Input(
                command,
                f'model.safetensors: {what}',
                arguments,
                _reason(CHECKPOINTS_RIGHT, f'{command}: {what}', what),
            )


def weights_without_numbers() -> Iterator[Input]:
    """Yield weights of NaN and infinity, for every command that reads weights."""
    for what, damaged in {
        'NaN weights': lambda values: values.fill_(float('nan')),
        'infinite weights': lambda values: values.fill_(float('inf')),
    }.items():
        for command in ('embed', 'pretrain', 'segment train', 'train'):

            def arguments(lab: Lab, command: str = command, damaged: Any = damaged) -> list[str]:
                from safetensors.torch import load_file, save_file

                backbone = shutil.copytree(lab.made / 'pretraining/backbone', lab.scratch / 'b')
                tensors = load_file(backbone / 'model.safetensors')
                damaged(next(iter(tensors.values())))
                save_file(tensors, backbone / 'model.safetensors')
                return _uses_of_weights(lab, command, backbone)

            yield Input(command, f'weights: {what}', arguments)


def bad_pose_models() -> Iterator[Input]:
    """Yield damaged pose models, for every command of ours that reads them."""
    for command in ('embed', 'compare'):
        for what in ('deleted', 'empty', 'garbage', 'cut in half', 'a pickle that writes a file'):

            def arguments(lab: Lab, command: str = command, what: str = what) -> list[str]:
                folder = lab.copy('pose')
                damage(next(folder.rglob('*.ckpt')), what)
                given = {
                    'embed': {'source': folder},
                    'compare': {'models': f'x={folder},{lab.made / "pose_2"}'},
                }[command]
                return call(command, lab, **given)

            yield Input(command, f'checkpoint of a pose model: {what}', arguments)
        for what, writer in CONFIGS.items():

            def arguments(lab: Lab, command: str = command, writer: Writer = writer) -> list[str]:
                folder = lab.copy('pose')
                (folder / 'config.yaml').unlink()
                writer(folder / 'config.yaml')
                given = {
                    'embed': {'source': folder},
                    'compare': {'models': f'x={folder},{lab.made / "pose_2"}'},
                }[command]
                return call(command, lab, **given)

            yield Input(command, f'config of a pose model: {what}', arguments)


# our own directories: what a command does with each, and which files it reads there
OWN: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    'an unfinished pretraining': (
        'pretrain',
        'pretraining',
        ('report.html', 'backbone'),
        (
            'beast.yaml',
            'anchors.csv',
            'videos.csv',
            'metrics.csv',
            'train_status.json',
            'checkpoints/last.ckpt',
            'checkpoints/best.ckpt',
            'checkpoints/windows.json',
            'windows',
            'windows/index.csv',
            'windows/session_01.json',
            'windows/session_01.mp4',
            'snapshots/epoch_00001.npy',
        ),
    ),
    'a finished pretraining': (
        'embed',
        'pretraining',
        (),
        ('beast.yaml', 'backbone/config.json', 'backbone/model.safetensors'),
    ),
    'a segmenter': (
        'segment predict',
        'segmentation',
        ('models/all/seed_0/last.ckpt', 'models/all/seed_1/last.ckpt'),
        (
            'segmenter.json',
            'segmentation.yaml',
            'models',
            'models/all/seed_0/model.safetensors',
        ),
    ),
    'an unfinished segmentation': (
        'segment train',
        'segmentation',
        ('report.html', 'segmenter.json'),
        (
            'segmentation.yaml',
            'metrics.csv',
            'models/all/seed_0/last.ckpt',
            'models/all/seed_0/model.safetensors',
            'features/session_01/info.json',
            'features/session_01/cls.npy',
            'features/session_01/patches.npy',
        ),
    ),
    'an unfinished encoding': (
        'encode',
        'encoding',
        ('report.html',),
        ('beast.yaml', 'summary.json', 'neurons.csv', 'comparison.csv', 'rates'),
    ),
    'features': (
        'embed to the same place',
        'features/beast',
        (),
        ('session_01/info.json', 'session_01/cls.npy', 'session_01/time.npy', '.session_01.lock'),
    ),
    'a frame_pca.npz': ('embed', 'features/frame_pca', (), ('frame_pca.npz',)),
}
_ANEW = 'it is written anew'
_FINISHED = 'the work that it was for is finished'
_NO_CHECKSUM = "transformers' format has no checksum; the shapes, and finite numbers, count"
OWN_RIGHT: dict[str, str] = {
    'an unfinished pretraining: beast.yaml a link loop': _ANEW,
    'an unfinished pretraining: beast.yaml deleted': _ANEW,
    'an unfinished pretraining: anchors.csv': _ANEW,
    'an unfinished pretraining: videos.csv': _ANEW,
    'an unfinished pretraining: train_status.json': 'it serves the GUI alone and is written anew',
    'an unfinished pretraining: checkpoints/last.ckpt deleted': 'the run begins again',
    'an unfinished pretraining: checkpoints/last.ckpt a link loop': 'the run begins again',
    'an unfinished pretraining: checkpoints/best.ckpt': 'nothing of ours reads it',
    'an unfinished pretraining: checkpoints/windows.json deleted': 'older versions wrote none',
    'an unfinished pretraining: checkpoints/windows.json a link loop': 'older versions wrote none',
    'an unfinished pretraining: windows': 'clips are cut out anew',
    'an unfinished pretraining: windows/index.csv': _ANEW,
    'an unfinished pretraining: windows/session_01.json': 'the clip is cut out anew',
    'an unfinished pretraining: windows/session_01.mp4': 'the clip is cut out anew',
    'an unfinished pretraining: snapshots/epoch_00001.npy': 'the report shows the others',
    **{
        f'a finished pretraining: backbone/config.json {how}': 'the shapes of the weights tell it'
        for how in ('deleted', 'a folder', 'a link loop')
    },
    'a finished pretraining: backbone/model.safetensors bytes flipped': _NO_CHECKSUM,
    'a finished pretraining: beast.yaml': 'the backbone alone is read',
    'an unfinished segmentation: segmentation.yaml deleted': _ANEW,
    'an unfinished segmentation: segmentation.yaml a link loop': _ANEW,
    'an unfinished segmentation: metrics.csv': _ANEW,
    'an unfinished segmentation: models/all/seed_0/last.ckpt': _FINISHED,
    'an unfinished segmentation: models/all/seed_0/model.safetensors': 'last.ckpt has the weights',
    'an unfinished encoding: beast.yaml deleted': _ANEW,
    'an unfinished encoding: beast.yaml a link loop': _ANEW,
    'an unfinished encoding: summary.json': _ANEW,
    'an unfinished encoding: neurons.csv': _ANEW,
    'an unfinished encoding: comparison.csv': _ANEW,
    'an unfinished encoding: rates': 'they are computed anew',
    'features: .session_01.lock': _FINISHED,
}


def _on_own(lab: Lab, kind: str, folder: Path) -> list[str]:
    command = OWN[kind][0]
    demo = lab.made / 'project' / 'config_demo.yaml'
    source = f'beast.segmentation.source="{lab.made / "pretraining"}"'
    if kind == 'a frame_pca.npz':
        return call('embed', lab, source=folder / 'frame_pca.npz')
    if kind == 'features':
        return call('embed', lab, output=folder)
    if command == 'embed':
        return call('embed', lab, source=folder)
    if command == 'segment predict':
        return call(command, lab, model=folder)
    if command == 'encode':
        places = ('beast', 'frame_pca', 'pose')
        features = [f'{place}={lab.made / "features" / place}' for place in places]
        words = call(command, lab, config=demo, output=folder, features=features[0])
        at = words.index(features[0])
        return [*words[:at], *features, *words[at + 1 :]]
    return call(command, lab, config=demo, output=folder, overrides=(source,))


def damaged_directories() -> Iterator[Input]:
    """Yield what our own commands wrote, damaged."""
    for kind, (command, name, removed, files) in OWN.items():
        for file in files:
            for how in DAMAGES:
                if how.startswith('the JSON') and not file.endswith(('.json', '.yaml')):
                    continue
                if file in ('windows', 'models', 'rates') and how not in ('deleted', 'garbage'):
                    continue

                def arguments(
                    lab: Lab,
                    kind: str = kind,
                    name: str = name,
                    removed: tuple[str, ...] = removed,
                    file: str = file,
                    how: str = how,
                ) -> list[str]:
                    folder = lab.copy(name)
                    for other in removed:
                        shutil.rmtree(folder / other, ignore_errors=True)
                        (folder / other).unlink(missing_ok=True)
                    damage(folder / file, how)
                    return _on_own(lab, kind, folder)

                yield Input(
                    command.partition(' to ')[0],
                    f'{kind}: {file} {how}',
                    arguments,
                    _reason(OWN_RIGHT, f'{kind}: {file} {how}', f'{kind}: {file}'),
                )


# files of values, of which Hypothesis changes one
VALUES = (
    ('a segmenter', 'segmenter.json'),
    ('a segmenter', 'segmentation.yaml'),
    ('an unfinished pretraining', 'windows/session_01.json'),
    ('an unfinished pretraining', 'beast.yaml'),
    ('a finished pretraining', 'backbone/config.json'),
    ('features', 'session_01/info.json'),
    ('an unfinished encoding', 'summary.json'),
)
_ODD = st.sampled_from(
    [None, -1, 0, 10**30, 1.5, float('nan'), 'x', '', '../x', [], [None], {}, {'a': 1}, True]
)


def changed_values() -> Iterator[Input]:
    """Yield our own files of values with one of the values changed."""
    for kind, file in VALUES:
        command, name, removed, _ = OWN[kind]
        for where, value in _drawn(st.tuples(st.integers(0, 200), _ODD), 10):

            def arguments(
                lab: Lab,
                kind: str = kind,
                name: str = name,
                removed: tuple[str, ...] = removed,
                file: str = file,
                where: int = where,
                value: object = value,
            ) -> list[str]:
                folder = lab.copy(name)
                for other in removed:
                    shutil.rmtree(folder / other, ignore_errors=True)
                    (folder / other).unlink(missing_ok=True)
                path = folder / file
                text = path.read_text(encoding='utf-8')
                # YAML would make a text of 1e-12
                content = json.loads(text) if path.suffix == '.json' else yaml.safe_load(text)
                places = list(_places(content))
                holder, key = places[where % len(places)]
                print(f'attack: {file} at {key!r} becomes {value!r}', flush=True)
                holder[key] = value
                dump = yaml.safe_dump if file.endswith('.yaml') else json.dumps
                path.write_text(dump(content), encoding='utf-8')
                return _on_own(lab, kind, folder)

            yield Input(
                command.partition(' to ')[0],
                f'{kind}: value {where} of {file} is {value!r}',
                arguments,
                'a value that the command does not use, or one that is as good',
            )


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key of nested values."""
    if isinstance(content, (dict, list)):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from _places(content[key])


def all_inputs() -> list[Input]:
    """Return all inputs, in a fixed order."""
    return list(
        chain(
            bad_options(),
            bad_configs(),
            bad_outputs(),
            wrong_settings(),
            drawn_overrides(),
            bad_videos(),
            odd_names(),
            bad_labels(),
            bad_keypoints(),
            bad_boxes(),
            bad_arrays(),
            bad_spikes(),
            bad_checkpoints(),
            weights_without_numbers(),
            bad_pose_models(),
            damaged_directories(),
            changed_values(),
        )
    )
