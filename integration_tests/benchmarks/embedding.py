"""Features of every frame of a video, against the authors' package: speed and memory.

    uv run python integration_tests/benchmarks/embedding.py --output embedding.csv

Both sides read the same video with the same weights (a ViT of width 192 at 224 px) and store CLS.
Ours is `litpose embed`, in bf16 as by default and in fp32; theirs is what `beast predict
--save_latents` does. Processes alternate, each on one thread, and start-up counts. In fp32 the
features of the two must agree, up to how frames are scaled. Memory is compared on the video and on
one that is 4 times as long.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from authors_environment import CACHE, BuildError, authors_environment
from measures import (
    DATA,
    ONE_THREAD,
    BenchmarkError,
    Child,
    Measure,
    load,
    machine,
    note,
    run_child,
    table,
    write_csv,
)

HERE = Path(__file__).parent
VIDEO = DATA / 'mirror_mouse/videos/test_vid.mp4'
# FLOP of a frame: 12 layers, 192 wide, 197 tokens, and the patch embedding
FLOP = 12 * (24 * 197 * 192**2 + 4 * 197**2 * 192) + 2 * 196 * 768 * 192
# growth of the peak over 4 times the length that still counts as flat
FLAT = 1.1


class Bench:
    """Runs both sides in one working directory."""

    def __init__(self, directory: Path, authors: Path) -> None:
        """Write the weights."""
        self.directory = directory
        self.authors = authors
        self._outputs = 0
        run_child([authors / 'python', HERE / 'authors_embed.py', 'build', directory], ONE_THREAD)

    def ours(self, video: Path, precision: str) -> tuple[Child, Path]:
        """Embed a video; return what it took, and the features."""
        output = self._output()
        child = run_child(
            [
                Path(sys.executable).with_name('litpose'),
                'embed',
                self.directory / 'weights',
                video,
                '--output_dir',
                output,
                '--precision',
                precision,
            ],
            ONE_THREAD,
        )
        return child, output / video.stem / 'cls.npy'

    def theirs(self, video: Path) -> tuple[Child, Path]:
        """Embed a video; return what it took, and the features."""
        child = run_child(
            [
                self.authors / 'python',
                HERE / 'authors_embed.py',
                'predict',
                self.directory,
                video,
                self._output(),
            ],
            ONE_THREAD,
        )
        return child, Path(child.result['latents'])

    def speed(self, video: Path, frames: int, repeats: int) -> list[Measure]:
        """Measure frames per second of CPU time."""
        rates = {
            precision: Measure(
                f'frames/s of CPU time, ours in {precision}',
                higher_is_better=True,
                least_ratio=3 if precision == 'bf16' else None,
            )
            for precision in ('bf16', 'fp32')
        }
        peak = Measure('peak MB')
        for repeat in range(repeats):
            note(f'speed, repeat {repeat + 1} of {repeats}')
            child, latents = self.theirs(video)
            peak.theirs.append(child.peak)
            for precision, measure in rates.items():
                own, features = self.ours(video, precision)
                measure.ours.append(frames / own.cpu)
                measure.theirs.append(frames / child.cpu)
                if precision == 'bf16':
                    peak.ours.append(own.peak)
                elif repeat == 0:
                    self._compare(features, latents)
        return [*rates.values(), peak]

    def growth(self, video: Path, longer: Path) -> list[Measure]:
        """Measure the peak on a video that is 4 times as long, over that on the video."""
        note('memory against length')
        growth = Measure('peak at 4 times the length', most=FLAT)
        growth.ours.append(self.ours(longer, 'bf16')[0].peak / self.ours(video, 'bf16')[0].peak)
        growth.theirs.append(self.theirs(longer)[0].peak / self.theirs(video)[0].peak)
        return [growth]

    def _compare(self, ours: Path, theirs: Path) -> None:
        run_child([sys.executable, HERE / 'our_worker.py', 'compare', ours, theirs], ONE_THREAD)

    def _output(self) -> Path:
        self._outputs += 1
        return self.directory / f'output_{self._outputs}'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--video', type=Path, default=VIDEO)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument(
        '--environment',
        type=Path,
        default=CACHE,
        help="where the authors' environment is kept (%(default)s)",
    )
    parser.add_argument('--output', type=Path, help='also write every value to this CSV file')
    arguments = parser.parse_args()
    video = arguments.video.resolve()
    if not video.is_file():
        parser.error(f'{video} is not a file; name one with --video')
    print(f'Machine: {machine()}')
    try:
        authors = authors_environment(arguments.environment)
        with tempfile.TemporaryDirectory(prefix='beast_lp_benchmark_') as directory:
            bench = Bench(Path(directory), authors)
            longer = Path(directory, 'longer.mp4')
            frames = run_child(
                [sys.executable, HERE / 'our_worker.py', 'repeat', video, longer], ONE_THREAD
            ).result['frames']
            measures = [
                *bench.speed(video, frames, arguments.repeats),
                *bench.growth(video, longer),
            ]
    except (BuildError, BenchmarkError) as error:
        sys.exit(str(error))
    print(f'Video: {video}, {frames} frames\n\n{table(measures)}')
    rate = FLOP * sorted(measures[0].ours)[len(measures[0].ours) // 2] / 1e9
    print(f'\nOurs in bf16 computes {rate:.0f} GFLOP/s, all else included. At the end: {load()}.')
    if arguments.output:
        write_csv(arguments.output, measures)


if __name__ == '__main__':
    main()
