"""Images per second of a training step with one thread and with all, in one run, interleaved.

    uv run python integration_tests/benchmarks/threads.py

A minute on an idle machine. It shows where `beast_lp.pretraining.threads` has to change from one
thread to several.
"""

import os

# as in our commands; OpenMP reads it when torch is imported
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import argparse
import statistics
import time

import torch

from beast_lp.config import BeastConfig, parse_config
from beast_lp.pretraining.module import BeastModule, mask_noise
from beast_lp.pretraining.threads import small_step
from beast_lp.vit.optimiser import OPTIMISERS
from beast_lp.vit.pixels import network_input

# presets and batches, the smallest step first
STEPS = (('laptop', 64), ('laptop', 128), ('vit_tiny', 64), ('vit_small', 32))


class Steps:
    """Training steps of a preset on random pixels.

    Args:
        config: settings of the preset.
    """

    def __init__(self, config: BeastConfig) -> None:
        """Build the module, its optimiser and a batch."""
        self.config = config
        self.module = BeastModule(config)
        build = OPTIMISERS[config.training.optimizer]
        self.optimiser = build(self.module, config.training.peak_learning_rate, config.training)
        shape = (config.training.batch_size // 2, 2, *config.model.image_size, 3)
        self.pixels = torch.randint(0, 256, shape, dtype=torch.uint8)

    def step(self) -> None:
        """Run one step in bfloat16, the default of a CPU."""
        images = network_input(self.pixels).transpose(0, 1).flatten(0, 1)
        noise = mask_noise(len(self.pixels), self.config.model.num_patches, (0,))
        with torch.autocast('cpu', torch.bfloat16):
            losses, _, _ = self.module._losses(images, noise)
        self.optimiser.zero_grad()
        losses['loss'].backward()
        self.optimiser.step()

    def rate(self, threads: int, seconds: float) -> float:
        """Return images per second.

        Args:
            threads: number of threads.
            seconds: time of the measurement.
        """
        torch.set_num_threads(threads)
        self.step()
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            self.step()
            count += 1
        return count * self.config.training.batch_size / (time.perf_counter() - begin)


def main() -> None:
    """Print a row per step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=2.0, help='of each measurement')
    args = parser.parse_args()
    counts = (1, torch.get_num_threads())
    print(f'{"step":20} 1 thread  {counts[1]} threads  (images/s, medians)  chosen')
    for preset, batch in STEPS:
        overrides = {'preset': preset, 'init': 'random', 'training': {'batch_size': batch}}
        steps = Steps(parse_config(overrides))
        rates = [
            [steps.rate(count, args.seconds) for count in counts] for _ in range(args.repeats)
        ]
        one, several = map(statistics.median, zip(*rates, strict=True))
        chosen = 'one' if small_step(steps.config) else 'several'
        print(f'{preset + f", batch {batch}":20} {one:8.0f}  {several:9.0f}  {chosen:>28}')


if __name__ == '__main__':
    main()
