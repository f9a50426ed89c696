"""Compares our training step with that of the authors' package: speed and memory.

    uv run python integration_tests/benchmarks/training_step.py --output results
    uv run python integration_tests/benchmarks/training_step.py --output results --device cuda
    uv run python integration_tests/benchmarks/training_step.py --output results --attention

Both sides start from the same weights and take the same images and masks; the first losses must
agree. Steps alternate between the two processes, so that other load on the machine hits both, and
medians are compared: of CPU seconds on one thread, or of a GPU's time at `--batches` times the
batch. The authors' package gets an environment of its own. The last command compares the two ways
to attend that `beast_lp.vit.attention` chooses from.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from authors_environment import CACHE, BuildError, authors_environment

HERE = Path(__file__).parent
PRECISIONS = ('fp32', 'medium', 'bf16')
# theirs first: it writes the weights
SIDES = ('theirs', 'ours')
PATCHES, VISIBLE, PIXELS = 196, 49, 768


@dataclass(frozen=True)
class Case:
    """A model size; widths and depths as transformers' ViTMAEConfig names them."""

    batch: int
    width: int
    layers: int
    heads: int
    decoder_width: int
    decoder_layers: int
    decoder_heads: int

    @property
    def theirs(self) -> dict[str, int]:
        """Keys of the authors' config."""
        return {
            'hidden_size': self.width,
            'num_hidden_layers': self.layers,
            'num_attention_heads': self.heads,
            'intermediate_size': 4 * self.width,
            'decoder_hidden_size': self.decoder_width,
            'decoder_num_hidden_layers': self.decoder_layers,
            'decoder_num_attention_heads': self.decoder_heads,
            'decoder_intermediate_size': 4 * self.decoder_width,
        }

    @property
    def ours(self) -> dict[str, int]:
        """Keys of `beast.model`."""
        return {
            'hidden_size': self.width,
            'num_layers': self.layers,
            'decoder_hidden_size': self.decoder_width,
            'decoder_num_layers': self.decoder_layers,
        }

    @property
    def flop(self) -> float:
        """FLOP of a step as ViT-MAE defines it, whatever either side saves.

        Products and attention, the backward pass as twice the forward pass.
        """

        def blocks(layers: int, width: int, tokens: int) -> float:
            return layers * (24 * tokens * width**2 + 4 * tokens**2 * width)

        forward = (
            blocks(self.layers, self.width, VISIBLE + 1)
            + blocks(self.decoder_layers, self.decoder_width, PATCHES + 1)
            + 2 * VISIBLE * PIXELS * self.width
            + 2 * (VISIBLE + 1) * self.width * self.decoder_width
            + 2 * (PATCHES - VISIBLE) * self.decoder_width * PIXELS
            + 6 * self.width**2
        )
        return 3 * forward * self.batch


CASES = {
    'ViT-B/16': Case(16, 768, 12, 12, 512, 8, 16),
    'ViT-S/16, full decoder': Case(32, 384, 12, 6, 512, 8, 16),
    'small (192, decoder 128)': Case(32, 192, 12, 3, 128, 4, 4),
}


class Side:
    """A process that does training steps on order."""

    def __init__(self, python: Path, script: str, folder: Path, device: str) -> None:
        """Start it and wait until it has built its model."""
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        self._process = subprocess.Popen(
            [python, HERE / script, folder, device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        while (line := self._line()) != 'ready':
            print(line, file=sys.stderr)

    def step(self, precision: str) -> dict[str, float]:
        """Do one step."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{precision}\n')
        self._process.stdin.flush()
        return json.loads(self._line())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f'{self._process.args} ended with status {self._process.wait()}')
        return line.strip()


def measure(
    name: str,
    case: Case,
    python: Path,
    repeats: int,
    folder: Path,
    device: str,
) -> pd.DataFrame:
    """Return one row per precision."""
    draw = np.random.default_rng(0)
    (folder / 'case.json').write_text(json.dumps({'ours': case.ours, 'theirs': case.theirs}))
    np.save(folder / 'images.npy', draw.normal(size=(case.batch, 3, 224, 224)).astype('f'))
    np.save(folder / 'noise.npy', draw.random((case.batch, PATCHES)).astype('f'))
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    # each precision in processes of its own, which hold no memory of another's
    for precision in PRECISIONS:
        print(f'{name}: {precision}', file=sys.stderr, flush=True)
        scripts = ((python, 'authors_step.py'), (Path(sys.executable), 'our_step.py'))
        sides = {
            side: Side(program, script, folder, device)
            for side, (program, script) in zip(SIDES, scripts, strict=True)
        }
        first = {side: process.step(precision)['loss'] for side, process in sides.items()}
        if precision == 'fp32' and abs(first['ours'] / first['theirs'] - 1) > 1e-4:
            raise SystemExit(f'{name}: the two sides compute different losses: {first}')
        for _ in range(repeats):
            for side, process in sides.items():
                taken.setdefault((side, precision), []).append(process.step(precision))
        for process in sides.values():
            process.close()

    def median(side: str, precision: str, key: str) -> float:
        return statistics.median(one[key] for one in taken[side, precision])

    rows = []
    for precision in PRECISIONS:
        seconds = {side: median(side, precision, 'seconds') for side in SIDES}
        peak = {side: median(side, precision, 'peak') for side in SIDES}
        rate = statistics.median(one['rate'] for side in SIDES for one in taken[side, precision])
        rows.append(
            {
                'model': name,
                'batch': case.batch,
                'precision': precision,
                **{f'{side}_images_per_s': case.batch / seconds[side] for side in SIDES},
                'ratio': seconds['theirs'] / seconds['ours'],
                'ratio_to_their_fp32': median('theirs', 'fp32', 'seconds') / seconds['ours'],
                'matmul_gflops': rate / 1e9,
                **{f'{side}_share': case.flop / seconds[side] / rate for side in SIDES},
                **{f'{side}_peak_mb': peak[side] for side in SIDES},
                'peak_ratio': peak['ours'] / peak['theirs'],
                'peak_ratio_to_their_fp32': peak['ours'] / median('theirs', 'fp32', 'peak'),
                'ours_loss': median('ours', precision, 'loss'),
                'theirs_loss': median('theirs', precision, 'loss'),
            }
        )
    return pd.DataFrame(rows)


def measure_attention(repeats: int) -> pd.DataFrame:
    """Time both ways to attend, forward and backward, on the shapes of ViT-B and its decoder."""
    import torch

    from beast_lp.vit.attention import chunked, fused

    torch.set_num_threads(1)
    rows = []
    for name, shape in (('encoder', (16, VISIBLE + 1, 12, 64)), ('decoder', (16, 197, 16, 32))):
        for precision in PRECISIONS:
            kind = torch.bfloat16 if precision == 'bf16' else torch.float32
            torch.set_float32_matmul_precision('medium' if precision == 'medium' else 'highest')
            inputs = [torch.randn(shape, dtype=kind, requires_grad=True) for _ in range(3)]
            taken: dict[str, list[float]] = {'fused': [], 'chunked': []}
            # the first turn warms up
            for _ in range(repeats + 1):
                for way in (fused, chunked):
                    start = time.process_time()
                    way(*inputs).sum().backward()
                    taken[way.__name__].append(time.process_time() - start)
            ms = {way: 1000 * statistics.median(times[1:]) for way, times in taken.items()}
            rows.append(
                {
                    'layer': name,
                    'precision': precision,
                    **{f'{way}_cpu_ms': value for way, value in ms.items()},
                    'fused_to_chunked': ms['fused'] / ms['chunked'],
                }
            )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Write the table with three digits a number."""
    text = table.map(lambda x: f'{x:.3g}' if isinstance(x, float) else str(x))
    lines = [text.columns.tolist(), ['---'] * len(text.columns), *text.to_numpy().tolist()]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def write(table: pd.DataFrame, directory: Path, name: str) -> None:
    """Write `name.csv` and `.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    table.to_csv(directory / f'{name}.csv', index=False)
    (directory / f'{name}.md').write_text(markdown(table))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, required=True, help='folder of the results')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument(
        '--attention', action='store_true', help='compare the two ways to attend instead'
    )
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument(
        '--environment',
        type=Path,
        default=CACHE,
        help="where the authors' environment is kept",
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--batches', type=int, help='times the batch of the case; 1 on a CPU, 8 on a GPU'
    )
    arguments = parser.parse_args()
    batches = arguments.batches or (8 if arguments.device == 'cuda' else 1)
    if arguments.attention:
        table = measure_attention(arguments.repeats)
        write(table, arguments.output, 'attention')
        print(markdown(table))
        return
    try:
        python = authors_environment(arguments.environment) / 'python'
    except BuildError as error:
        sys.exit(str(error))
    tables = []
    for name in arguments.cases:
        with tempfile.TemporaryDirectory() as folder:
            tables.append(
                measure(
                    name,
                    replace(CASES[name], batch=batches * CASES[name].batch),
                    python,
                    arguments.repeats,
                    Path(folder),
                    arguments.device,
                )
            )
        # after every size, since a run takes long
        write(pd.concat(tables), arguments.output, 'training_step')
    print(markdown(pd.concat(tables)))


if __name__ == '__main__':
    main()
