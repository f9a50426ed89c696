import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTModel

from beast_lp.errors import BeastError
from beast_lp.features.store import FeatureStore
from beast_lp.host.commands.embed import get_parser, handle
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.save import save_backbone
from beast_lp.vit.tensor_names import disk_name


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Return the directory of a small ViT."""
    torch.manual_seed(0)
    architecture = Architecture(64, 1, 1, 64, 16, (64, 64))
    vit = ViTModel(ViTConfig(**architecture.transformers_config()), add_pooling_layer=False)
    save_backbone(
        tmp_path / 'vit',
        architecture,
        {disk_name(name): value for name, value in vit.state_dict().items()},
    )
    return tmp_path / 'vit'


@pytest.fixture
def video(write_video: Callable[..., Path]) -> Path:
    """Return a short video."""
    random = np.random.default_rng(0)
    return write_video(
        'a.mp4', [random.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(20)]
    )


def embed(*arguments: object) -> None:
    handle(get_parser().parse_args(list(map(str, arguments))))


def test_options_reach_the_store(backbone: Path, video: Path, tmp_path: Path) -> None:
    embed(
        backbone,
        video,
        '--output_dir',
        tmp_path / 'out',
        '--image_size',
        64,
        96,
        '--stride',
        3,
        '--patches',
        '--patch_grid',
        3,
        '--patch_dim',
        5,
        '--batch_size',
        4,
        '--precision',
        'bf16',
    )
    store = FeatureStore.open(tmp_path / 'out' / 'a')
    assert store.cls.shape == (7, 64)
    assert store.patches is not None
    assert store.patches.shape == (7, 2 * 3, 5)
    info = store.info
    assert (info.image_size, info.stride, info.grid) == ((64, 96), 3, (2, 3))
    assert info.precision == 'bf16'
    assert (tmp_path / 'out' / 'patch_basis.npz').is_file()


def test_features_go_to_a_folder_that_bears_the_name_of_the_source(
    backbone: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    embed('vit', 'a.mp4')
    assert len(FeatureStore.open(tmp_path / 'features' / 'vit' / 'a')) == 20


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['/nowhere/at/all', '{video}'], 'no checkpoint at /nowhere/at/all'),
        (['resnet5', '{video}'], "'resnet5' is no source of features"),
        (['{backbone}', '/nowhere.mp4'], '/nowhere.mp4 does not exist'),
        (['{backbone}', '{video}', '--stride', '0'], '--stride must be at least 1'),
        (['{backbone}', '{video}', '--patch_grid', '2'], 'add it'),
        (
            ['{backbone}', '{video}', '--patches', '--patch_grid', '99'],
            '--patch_grid must be between',
        ),
        (['{backbone}', '{video}', '--image_size', '50', '64'], 'in multiples of 16'),
        (['{backbone}', '{video}', '--image_size', '0', '64'], '--image_size must be at least 1'),
        (['pca', '{video}', '--image_size', '64', '100000'], '--image_size must be at most 8192'),
        (['pca', '{video}', '--pca_components', '20000'], '--pca_components must be at most'),
        (['{backbone}', '{video}', '--batch_size', '1000000000'], '--batch_size must be at most'),
        (['{backbone}', '{video}', '--bbox_dir', '/nowhere'], '/nowhere/a_bbox.csv'),
        (['pca', '{video}', '--patches'], 'no patches'),
        (['motion', '{video}', '--patches'], 'no patches'),
        (['motion', '{video}', '--image_size', '64', '64'], 'leave out --image_size'),
        (['random:nothing', '{video}'], 'no checkpoint at nothing'),
        (['pca', '{video}', '--bbox_dir', '/nowhere'], 'leave out --bbox_dir'),
        (['{backbone}', '{video}', '--pca_components', '5'], 'is for the source `pca`'),
        (['pca', '{video}', '--pca_components', '0'], '--pca_components must be at least 1'),
        (['pca', '{video}', '--pca_components', '1000'], 'ask for fewer'),
    ],
)
def test_bad_input_gets_a_sentence_and_writes_nothing(
    backbone: Path,
    video: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    given = [item.format(video=video, backbone=backbone) for item in arguments]
    with pytest.raises(BeastError) as error:
        embed(*given, '--output_dir', tmp_path / 'out')
    assert words in str(error.value)
    assert not (tmp_path / 'out' / 'a').exists()


def test_components_of_frames_are_not_applied_to_crops(video: Path, tmp_path: Path) -> None:
    embed('pca', video, '--output_dir', tmp_path / 'out', '--pca_components', 3)
    for option in (['--bbox_dir', tmp_path], ['--patches']):
        with pytest.raises(BeastError, match=f'leave out {option[0]}'):
            embed(
                tmp_path / 'out' / 'frame_pca.npz',
                video,
                '--output_dir',
                tmp_path / 'again',
                *option,
            )


def test_features_are_named_like_the_whole_folder_of_their_source(
    backbone: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ('weight_0.01', 'weight_0.1'):
        shutil.copytree(backbone, tmp_path / name)
        embed(name, video)
        assert len(FeatureStore.open(tmp_path / 'features' / name / 'a')) == 20


def test_the_baselines_have_folders_of_their_own(
    backbone: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    embed('motion', video)
    assert FeatureStore.open(tmp_path / 'features' / 'motion' / 'a').cls.shape == (20, 1)
    for source in (backbone, f'random:{backbone}', 'random:laptop'):
        embed(source, video)
    stores = [
        FeatureStore.open(tmp_path / 'features' / name / 'a')
        for name in ('vit', 'random_vit', 'random_laptop')
    ]
    assert [store.cls.shape[1] for store in stores] == [64, 64, 128]
    assert len({store.info.source_hash for store in stores}) == 3
    assert stores[2].info.source_kind == 'random weights'
