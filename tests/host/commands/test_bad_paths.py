"""Every path that a command takes, of every kind that the system refuses: one sentence each."""

import sys
from collections.abc import Callable
from pathlib import Path

import lightning_pose.cli.main
import numpy as np
import pytest

from beast_lp.features.info import FeatureInfo
from beast_lp.host.start import OUTPUT_DIR_VARIABLE

WriteVideo = Callable[..., Path]
SaveStore = Callable[..., None]

# {bad} is the path, the others are good
COMMANDS = [
    'pretrain {config} --output_dir {bad}',
    'pretrain {config} --output_dir {out} --overrides data.video_dir="{bad}"',
    'pretrain {config} --output_dir {out} --overrides beast.videos="{bad}"',
    'pretrain {config} --output_dir {out} --overrides beast.windows.bbox_dir="{bad}"',
    'pretrain {config} --output_dir {out} --overrides beast.init="{bad}"',
    'pretrain {config} --output_dir {out} --overrides beast.projects=["{bad}"]',
    'pretrain {config} --output_dir {out} --overrides beast.probe.every_epochs=1 '
    '+data.csv_file="{bad}"',
    'embed pca {video} --output_dir {bad}',
    'embed pca {bad} --output_dir {out}',
    'embed {bad} {video} --output_dir {out}',
    'encode {config} --features f={store} --spikes v={spikes} --output_dir {bad}',
    'encode {config} --features f={bad} --spikes v={spikes} --output_dir {out}',
    'encode {config} --features f={store} --spikes v={bad} --output_dir {out}',
    'encode {config} --features f={store} --spikes v={spikes} --output_dir {out} '
    '--overrides beast.encoding.camera_times="{bad}"',
    'encode {config} --features f={store} --spikes v={spikes} --output_dir {out} '
    '--overrides beast.encoding.trials.events="{bad}"',
    'segment train {config} --output_dir {bad}',
    'segment train {config} --output_dir {out} --overrides beast.segmentation.labels="{bad}"',
    'segment train {config} --output_dir {out} --overrides '
    'beast.segmentation.features_dir=null beast.segmentation.source="{bad}"',
    'segment train {config} --output_dir {out} --overrides '
    'beast.segmentation.features_dir="{bad}"',
    'segment train {config} --output_dir {out} --overrides '
    'beast.segmentation.features=keypoints beast.segmentation.keypoints_dir="{bad}"',
    'segment predict {config} --model_dir {bad} --output_dir {out}',
    'segment evaluate {config} --model_dir {bad} --output_dir {out}',
    'segment predict {config} --model_dir {out} --videos {bad} --output_dir {out}',
    'compare a={model},{model2} --labels {labels} --output_dir {bad}',
    'compare a={bad},{model} --labels {labels} --output_dir {out}',
    'compare a={model},{model2} --labels {bad} --output_dir {out}',
    'motion_bbox {config} --output_dir {bad}',
    'motion_bbox {config} {bad} --output_dir {out}',
    'beast_demo --tiny --output_dir {bad}',
]
KINDS = [
    'file',
    'below a file',
    'device',
    'loop',
    'below a loop',
    'long',
    'deep',
    'NUL',
    'nowhere',
]


def _bad(kind: str, folder: Path) -> str:
    """Make a path of a kind that cannot be used."""
    (folder / 'file').write_text('?')
    (folder / 'loop').symlink_to(folder / 'loop')
    (folder / 'nowhere').symlink_to(folder / 'gone' / 'too')
    return {
        'file': str(folder / 'file'),
        'below a file': str(folder / 'file' / 'x'),
        'device': '/dev/null',
        'loop': str(folder / 'loop'),
        'below a loop': str(folder / 'loop' / 'x'),
        'long': str(folder / ('x' * 300)),
        'deep': str(folder / '/'.join(['x' * 200] * 30)),
        'NUL': str(folder / 'a\0b'),
        'nowhere': str(folder / 'nowhere'),
    }[kind]


@pytest.fixture
def good(tmp_path: Path, write_video: WriteVideo, save_store: SaveStore) -> dict[str, Path]:
    """Return good paths of every other option."""
    frames = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), np.uint8)
    video = write_video('videos/v.mp4', frames)
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / 'v.csv').write_text(
        ',background,a\n' + ''.join(f'{i},{i % 2},{1 - i % 2}\n' for i in range(40))
    )
    config = tmp_path / 'config.yaml'
    config.write_text(
        f'data: {{data_dir: {tmp_path}, video_dir: videos}}\n'
        'beast: {preset: laptop, init: random, segmentation: {labels: labels, features_dir: .}}\n'
    )
    info = FeatureInfo('v.mp4', 'net', 'backbone', 'a1', dim=2, frames=40)
    save_store(
        tmp_path / 'v',
        info,
        cls=np.zeros((40, 2)),
        frame=np.arange(40),
        time=np.arange(40) / 25,
    )
    np.savez(tmp_path / 'v.npz', spike_counts=np.ones((40, 2), int), bin_width=0.04)
    for name in ('m1', 'm2'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'config.yaml').write_text('model: {model_name: x, model_type: y}\n')
    return {
        'config': config,
        'video': video,
        'out': tmp_path / 'out',
        'store': tmp_path / 'v',
        'spikes': tmp_path / 'v.npz',
        'labels': tmp_path / 'labels' / 'v.csv',
        'model': tmp_path / 'm1',
        'model2': tmp_path / 'm2',
    }


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.filterwarnings('ignore')
def test_a_path_that_the_system_refuses_is_one_sentence(
    command: str,
    good: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.delenv(OUTPUT_DIR_VARIABLE, raising=False)
    for number, kind in enumerate(KINDS):
        folder = tmp_path / f'bad{number}'
        folder.mkdir()
        words = command.format(bad=_bad(kind, folder), **good).split(' ')
        monkeypatch.setattr(sys, 'argv', ['litpose', *words])
        before = sorted(folder.rglob('*'))
        with pytest.raises(SystemExit) as caught:
            lightning_pose.cli.main.main()
        said = caught.value.code if isinstance(caught.value.code, str) else capsys.readouterr().err
        assert 'error: ' in said and '; ' in said, (kind, said)
        assert '\n' not in said and 'Errno' not in said, (kind, said)
        assert sorted(folder.rglob('*')) == before, kind
        assert (folder / 'file').read_text() == '?'
        assert not list(tmp_path.rglob('*.part'))
