"""The model card of a backbone: a `README.md` as model hubs show it, with what it was made of.

It names no paths and no videos, so that the folder can be given away.
"""

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from beast_lp.config import BeastConfig
from beast_lp.pretraining.floors import FLOORS
from beast_lp.pretraining.run_files import RunFiles

_TEMPLATE = """\
---
library_name: transformers
pipeline_tag: image-feature-extraction
tags:
- vit
- beast
- pose-estimation
- animal-behavior
- neuroscience
- self-supervised-learning
---

# A ViT backbone of {videos}

Pretrained without labels by [BEAST](https://arxiv.org/abs/2507.09513) (masked patches, and
neighbouring frames against distant ones), with beast-lp, a plugin of
[Lightning Pose](https://github.com/paninski-lab/lightning-pose). It turns a frame into a vector
(CLS) and one more for each patch of {patch} px.

```python
from transformers import ViTModel
model = ViTModel.from_pretrained('path/of/this/folder', add_pooling_layer=False)
tokens = model(frames, interpolate_pos_encoding=True).last_hidden_state
```

`frames` are RGB, {height} x {width} px, with ImageNet's mean and standard deviation taken out. In
Lightning Pose: `model.backbone: beast` and `model.backbone_checkpoint: path/of/this/folder`.

## Made of

| | |
|---|---|
{made_of}

## Measured

{measured}

## Limits

- It saw the videos counted above and no others. For another animal, camera, arena or light,
  compare it with random weights first (`model.backbone_checkpoint: random`).
- The numbers above are from the same recordings, of frames that were held out of training.
- It describes frames one by one: movement that a single frame does not show is not in it.
"""


def model_card(config: BeastConfig, files: RunFiles) -> str:
    """Return the model card of a run whose training has ended.

    Args:
        config: all settings.
        files: directory of the run, with its tables.
    """
    videos = pd.read_csv(files.directory / 'videos.csv')
    used = videos[videos['anchors'] > 0]
    anchors = int(used['anchors'].sum())
    metrics = pd.read_csv(files.metrics)
    training, model, loss = config.training, config.model, config.loss
    made_of = {
        'videos, frames': f'{len(used)}, {int(used["frames_read"].sum()):,}',
        'anchors chosen for training': f'{anchors:,}',
        'preset': config.preset,
        # a folder on this machine says nothing elsewhere
        'initial weights': Path(config.init).name if Path(config.init).exists() else config.init,
        'encoder': f'{model.hidden_size} wide, {model.num_layers} layers',
        'optimiser steps': f'{int(metrics["step"].iloc[-1]):,} of {training.batch_size} frames',
        'optimiser': f'{training.optimizer}, peak learning rate {training.peak_learning_rate:g}',
        'hidden patches': f'{model.mask_ratio:.0%}',
        'contrastive weight, temperature': f'{loss.contrastive_weight:g}, {loss.temperature:g}',
        'seed': str(config.seed),
        'versions': ', '.join(
            f'{name} {version(name)}'
            for name in ('beast-lp', 'torch', 'transformers', 'lightning')
        ),
    }
    count = f'{len(used)} video{"" if len(used) == 1 else "s"}'
    return _TEMPLATE.format(
        videos=count,
        patch=model.patch_size,
        height=model.image_size[0],
        width=model.image_size[1],
        made_of='\n'.join(f'| {name} | {value} |' for name, value in made_of.items()),
        measured=_measured(metrics),
    )


def _measured(metrics: pd.DataFrame) -> str:
    """Return what is known of the quality of the weights, as a list."""
    last = metrics.ffill().iloc[-1]
    lines = []
    if pd.notna(last.get('val_background_explained')):
        lines.append(
            f'- In hidden patches of held-out frames it explains '
            f'{100 * last["val_background_explained"]:.0f} % of what differs from the median '
            'picture of the video.'
        )
    if pd.notna(last.get('probe_px')):
        floors = ', '.join(
            f'{last[f"probe_{name}_px"]:.1f} px from {words}'
            for name, words in FLOORS.items()
            if pd.notna(last.get(f'probe_{name}_px'))
        )
        lines.append(
            f'- Labelled keypoints are read from the frozen features with a mean error of '
            f'{last["probe_px"]:.1f} px' + (f' ({floors}).' if floors else '.')
        )
    return '\n'.join(lines) or 'Nothing: no frames were held out, and there were no labels.'
