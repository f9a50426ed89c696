"""`litpose embed` on a tiny project, with good input and bad."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTModel
from warm_litpose import Litpose

from beast_lp.features.store import FeatureStore
from beast_lp.video.read import FrameReader
from beast_lp.vit.pixels import normalise


@pytest.fixture
def videos(tiny_project: Path) -> list[Path]:
    """Return the project's videos."""
    return sorted((tiny_project.parent / 'videos').glob('*.mp4'))


def test_features_are_those_of_the_backbone(
    litpose: Litpose,
    tiny_pretraining: Path,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    out = tmp_path / 'meine features'
    litpose(
        'embed',
        tiny_pretraining,
        *videos,
        '--output_dir',
        out,
        '--precision',
        'fp32',
        '--patches',
        '--stride',
        '7',
    )
    stores = [FeatureStore.open(out / video.stem) for video in videos]
    vit = ViTModel.from_pretrained(tiny_pretraining / 'backbone', add_pooling_layer=False)
    size = stores[0].info.image_size
    assert size is not None
    for store, video in zip(stores, videos, strict=True):
        frames = np.stack([frame.pixels(size) for frame in FrameReader(video)])[::7]
        with torch.no_grad():
            images = normalise(torch.from_numpy(frames).permute(0, 3, 1, 2) / 255)
            tokens = vit(images).last_hidden_state.numpy()
        np.testing.assert_allclose(store.cls, tokens[:, 0], rtol=1e-2, atol=1e-2)
        assert store.patches is not None
        np.testing.assert_allclose(store.patches, tokens[:, 1:], rtol=1e-2, atol=1e-2)
        assert store.info.source == str(tiny_pretraining)
        assert store.info.source_kind == 'vit'

    # once more: nothing is done again; the copy of a backbone is the same backbone
    before = (out / videos[0].stem / 'cls.npy').stat().st_mtime_ns
    copy = shutil.copytree(tiny_pretraining / 'backbone', tmp_path / 'copy')
    result = litpose(
        'embed',
        copy,
        *videos,
        '--output_dir',
        out,
        '--precision',
        'fp32',
        '--patches',
        '--stride',
        '7',
    )
    assert 'exist already' in result.stdout
    assert (out / videos[0].stem / 'cls.npy').stat().st_mtime_ns == before
    # and other settings are refused
    result = litpose(
        'embed', copy, *videos, '--output_dir', out, '--precision', 'fp32', '--patches', fails=True
    )
    assert 'stride was 7 and is now 1' in result.stderr


def test_frame_components_come_through_the_same_command_and_serve_other_videos(
    litpose: Litpose,
    videos: list[Path],
    tiny_pretraining: Path,
    tmp_path: Path,
) -> None:
    litpose('embed', 'pca', videos[0], '--pca_components', '5', '--output_dir', tmp_path / 'a')
    store = FeatureStore.open(tmp_path / 'a' / videos[0].stem)
    assert store.cls.shape[1] == 5
    # the first component varies most
    assert store.cls.std(axis=0).argmax() == 0
    other = litpose(
        'embed', tmp_path / 'a' / 'frame_pca.npz', videos[0], '--output_dir', tmp_path / 'b'
    )
    assert 'features are in' in other.stdout
    np.testing.assert_array_equal(
        FeatureStore.open(tmp_path / 'b' / videos[0].stem).cls, store.cls
    )
    # never mixed with those of another source
    result = litpose(
        'embed', tiny_pretraining, videos[0], '--output_dir', tmp_path / 'a', fails=True
    )
    assert 'another source' in result.stderr


def test_an_unfinished_run_of_another_source_is_refused_and_its_own_is_resumed(
    litpose: Litpose,
    tiny_pretraining: Path,
    videos: list[Path],
    tmp_path: Path,
) -> None:
    arguments = ('embed', tiny_pretraining, videos[0], '--output_dir', tmp_path / 'out')
    litpose(*arguments)
    store = FeatureStore.open(tmp_path / 'out' / videos[0].stem)
    whole = np.array(store.cls)
    # what a kill leaves: the folder under its working name, with some rows more than recorded
    part = store.directory.with_name(store.directory.name + '.part')
    store.directory.rename(part)
    info = json.loads((part / 'info.json').read_text())
    (part / 'info.json').unlink()
    (part / 'progress.json').write_text(json.dumps({'rows': 10, 'info': info}))
    (part / 'time.npy').write_bytes((part / 'time.npy').read_bytes()[: -8 * (len(whole) - 12)])
    litpose(
        'embed',
        'pca',
        videos[0],
        '--pca_components',
        '5',
        '--output_dir',
        tmp_path / 'out',
        fails=True,
    )
    assert f'resuming {videos[0].name} after 10 frames' in litpose(*arguments).stdout
    assert not part.exists()
    np.testing.assert_allclose(FeatureStore.open(store.directory).cls, whole, rtol=0.1, atol=0.05)


def test_bad_input_gets_a_sentence(litpose: Litpose, videos: list[Path], tmp_path: Path) -> None:
    # the other sentences are tested in tests/host/test_embed.py, without a program's start each
    result = litpose(
        'embed',
        'vits_dino',
        videos[0],
        '--output_dir',
        tmp_path / 'out',
        fails=True,
        HF_HUB_CACHE=str(tmp_path / 'cache'),
    )
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith('error: ')
    assert "weights of 'vits_dino' are neither" in line
    assert not (tmp_path / 'out' / videos[0].stem).exists()
