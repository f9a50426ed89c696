"""Runs inside the authors' environment: how fast their dataset delivers images.

Prints one line of JSON. Only the public classes of beast-backbones are used, with its default
augmentation, on one core.
"""

import json
import sys
import time
from importlib.metadata import version

import cv2
import torch
from beast.data.augmentations import (  # pyright: ignore[reportMissingImports]
    expand_imgaug_str_to_dict,
    imgaug_pipeline,
)
from beast.data.datasets import BaseDataset  # pyright: ignore[reportMissingImports]
from torch.utils.data import DataLoader


def main() -> None:
    """Deliver batches for some seconds; arguments: folder of PNG files, batch size, seconds."""
    folder, batch_size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset = BaseDataset(folder, imgaug_pipeline(expand_imgaug_str_to_dict('default')))
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    next(iter(loader))
    images, shape = 0, []
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        for batch in loader:
            images += len(batch['image'])
            shape = list(batch['image'].shape[1:])
            if time.perf_counter() - wall >= seconds:
                break
    print(
        json.dumps(
            {
                'images': images,
                'shape': shape,
                'wall': time.perf_counter() - wall,
                'cpu': time.process_time() - cpu,
                'versions': {
                    name: version(name)
                    for name in (
                        'beast-backbones',
                        'torch',
                        'transformers',
                        'opencv-python-headless',
                        'imaug',
                    )
                },
            }
        )
    )


if __name__ == '__main__':
    main()
