"""The backbones that are compared: random weights, and pretraining by every published variant."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from budget import Budget
from cells import claimed
from omegaconf import OmegaConf
from recordings import BOXES, RECORDINGS

from beast_lp.config import BeastConfig, parse_config
from beast_lp.features.extract import ExtractionSettings, extract_features
from beast_lp.features.pca import frame_pca
from beast_lp.host.jobs.sources import open_source
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.runs.seeds import derive_seed
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.save import encoder_to_transformers, save_backbone

VARIANTS = Path(__file__).parents[2] / 'configs' / 'variants'
RANDOM = 'random'
# what is compared: as it is called in figures, by the name of its file in configs/variants/
BACKBONES = {
    RANDOM: 'random weights',
    'vit_m': 'ViT-M',
    'vit_c': 'ViT-C',
    'beast': 'BEAST',
    'strong_contrast': 'BEAST, λ = 1',
    'norm_pix': 'BEAST, normalised patches',
    'vic_mae': 'BEAST, positives from anywhere',
    'random_anchors': 'BEAST, random anchors',
}
# patch tokens along each side that are stored
GRID = 4
# of the frames, the floor of what is read from stores: as many as `litpose embed pca` stores
COMPONENTS = 100


def settings(backbone: str, seed: int, budget: Budget) -> BeastConfig:
    """Return all settings of a pretraining: those of the preset, and of the variant."""
    name = 'beast' if backbone == RANDOM else backbone
    variant = OmegaConf.load(VARIANTS / f'{name}.yaml').beast
    # both readers of frames are equally good; this one is the same on every machine
    training: dict[str, object] = {'loader': 'pyav'}
    if budget.pretraining_steps is not None:
        training['steps'] = budget.pretraining_steps
    chosen = OmegaConf.create({'preset': budget.preset, 'seed': seed, 'training': training})
    return parse_config(OmegaConf.merge(variant, chosen))  # type: ignore[arg-type]


def pretrained(
    directory: Path,
    recording: str,
    backbone: str,
    seed: int,
    budget: Budget,
) -> Path:
    """Return a backbone, pretrained on the videos of a recording unless it is there already.

    Raises:
        BusyError: if another process pretrains it.
    """
    output = directory / 'pretraining' / recording / f'{backbone}_{seed}'
    files = RunFiles(output)
    if files.backbone.exists():
        return files.backbone
    with claimed(output):
        config = settings(backbone, seed, budget)
        if recording in BOXES:
            windows = replace(config.windows, bbox_dir=str(BOXES[recording]))
            config = replace(config, windows=windows)
        if backbone == RANDOM:
            torch.manual_seed(derive_seed(seed, 'random backbone'))
            model = MaskedAutoencoder(config.model, decoder=False)
            save_backbone(files.backbone, model.architecture, encoder_to_transformers(model))
        elif not files.backbone.exists():
            output.mkdir(parents=True, exist_ok=True)
            run_pretraining(config, RECORDINGS[recording], output)
            # over a hundred megabytes of each run, which nothing here needs again
            for finished in (files.windows, files.last.parent):
                shutil.rmtree(finished)
    return files.backbone


def embedded(
    directory: Path,
    backbone: Path,
    videos: list[Path],
    grid: int | None = GRID,
) -> list[Path]:
    """Return the feature stores of videos, made unless they are there already.

    Args:
        directory: folder of everything.
        backbone: what computes the features.
        videos: video files.
        grid: patch tokens along the longer side that are stored.

    Raises:
        BusyError: if another process makes them.
    """
    run = backbone.parent
    output = directory / 'features' / run.parent.name / f'{run.name}_{grid}'
    with claimed(output):
        return extract_features(
            open_source(str(backbone)),
            videos,
            output,
            ExtractionSettings(patches=True, patch_grid=grid),
            progress=False,
        )


def frame_components(directory: Path, recording: str, videos: list[Path]) -> list[Path]:
    """Return the feature stores of the frames' principal components, made once for all backbones.

    Args:
        directory: folder of everything.
        recording: name of the recording.
        videos: its video files that are read.

    Raises:
        BusyError: if another process makes them.
    """
    output = (
        directory / 'features' / recording / '_'.join(['components', *(v.stem for v in videos)])
    )
    with claimed(output):
        source = frame_pca(output / 'pca.npz', videos, COMPONENTS, progress=False)
        return extract_features(source, videos, output, ExtractionSettings(), progress=False)
