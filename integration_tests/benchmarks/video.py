"""The video engine against the authors' package, on the same videos, interleaved.

Run `python integration_tests/benchmarks/video.py` (about 7 minutes on 2 cores). It measures

1. seconds and memory from video to stored training frames, and memory against length;
2. images per second of one core, read, augmented and normalised for the model at 224 px;
3. disk per 1,000 anchors;
4. ours alone: the share of training that waits for data, on 2 cores with the preset `vit_tiny`.

The authors' package, beast-backbones 1.4.0, comes from the package index into an environment of
its own, and is used through its command line and public classes. Everything runs in processes of
its own with one thread per numerical library, so that a measure is that of one process; only
training may use two cores. The table is Markdown: medians, with the smallest and largest value.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Nothing but the standard library here: the peak memory that Linux reports for a child is at
# least that of the process that started it.
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

WAITING = (
    'Waiting for data is waiting for the processes that read. Augmentation is part of the step '
    'there, as on a GPU, and other programs slow the step more than the reading, so read the '
    'share together with the images/s of training.'
)

BATCH_SIZE = 64
# frames of the synthetic videos: 1, 4 and 16 times the first
LENGTHS = (1_000, 4_000, 16_000)
LONG_LENGTHS = (10_000, 40_000, 160_000)
MILLION = 1_000_000
# Growth that is not flat, and is known: a few arrays with a number per frame (motion energy, the
# candidates and what k-means knows of them) are in memory, up to about 100 bytes a frame
MOST_MB = 400
# training lists a video several times under other names, so that an epoch has some steps
TRAINING_VIDEOS = 4
# Growth in peak memory over a 16 times longer video that still counts as flat. It is not 1, since
# frames are worked on in chunks of up to 2,048, which the shortest video does not fill.
FLAT = 1.15


def our_child(*arguments: str | Path, extra: dict[str, str] = ONE_THREAD) -> Child:
    """Run a job of `our_worker.py`."""
    return run_child([sys.executable, HERE / 'our_worker.py', *arguments], extra)


class Bench:
    """Runs the measures in one working directory."""

    def __init__(
        self,
        directory: Path,
        authors: Path | None,
        anchors: int,
        repeats: int,
        seconds: float,
    ) -> None:
        """Choose what is measured.

        Args:
            directory: working directory, for several hundred MB.
            authors: folder of their programs, None to measure ours alone.
            anchors: number per video.
            repeats: number of runs of each measure.
            seconds: length of each measure of images per second.
        """
        self.directory = directory
        self.authors = authors
        self.anchors = anchors
        self.repeats = repeats
        self.seconds = seconds
        self.versions = our_child('versions').result
        self._outputs = 0

    def videos(self, videos: Sequence[Path]) -> list[Measure]:
        """Measure scan, anchors and store, delivery and disk on given videos."""
        start = Measure('start-up alone, s')
        wall = Measure('video to stored frames, s', least_ratio=5)
        cpu = Measure('video to stored frames, CPU s', least_ratio=5)
        peak = Measure('video to stored frames, peak MB')
        disk = Measure('disk per 1,000 anchors, MB', least_ratio=10)
        rate = Measure(
            'images/s delivered, per CPU s of one process', higher_is_better=True, least_ratio=8
        )
        wall_rate = Measure('images/s delivered, per s', higher_is_better=True)
        source = self._folder(videos, 'videos')
        nothing = self.directory / 'no_videos'
        nothing.mkdir()
        for repeat in range(self.repeats):
            note(f'videos, repeat {repeat + 1} of {self.repeats}')
            if self.authors is not None:
                start.theirs.append(self._their_extraction(nothing)[0].wall)
                child, png = self._their_extraction(source)
                wall.theirs.append(child.wall)
                cpu.theirs.append(child.cpu)
                peak.theirs.append(child.peak)
                disk.theirs.append(size(png) / png_anchors(png) * 1e3 / 1e6)
                delivered = self._their_delivery(png)
                rate.theirs.append(delivered['images'] / delivered['cpu'])
                wall_rate.theirs.append(delivered['images'] / delivered['wall'])
            start.ours.append(our_child('extract', '--start-only').wall)
            child, store = self._our_extraction(videos)
            wall.ours.append(child.wall)
            cpu.ours.append(child.cpu)
            peak.ours.append(child.peak)
            disk.ours.append(size(store / 'windows') / child.result['anchors'] * 1e3 / 1e6)
            delivered = our_child(
                'deliver', store, '--batch-size', str(BATCH_SIZE), '--seconds', str(self.seconds)
            ).result
            rate.ours.append(delivered['images'] / delivered['cpu'])
            wall_rate.ours.append(delivered['images'] / delivered['wall'])
        return [wall, cpu, start, peak, disk, rate, wall_rate]

    def lengths(self, lengths: Sequence[int], million: bool = False) -> list[Measure]:
        """Measure peak memory on synthetic videos of several lengths, and its growth."""
        peaks = []
        for frames in lengths:
            note(f'memory with {frames} frames')
            folder = self.directory / f'frames_{frames}'
            folder.mkdir()
            video = folder / f'frames_{frames}.mp4'
            our_child('synthesise', '--output', video, '--frames', str(frames))
            peak = Measure(f'peak MB with {frames:,} frames of 64 x 64 px')
            if self.authors is not None:
                peak.theirs.append(self._their_extraction(folder)[0].peak)
            peak.ours.append(self._our_extraction([video])[0].peak)
            peaks.append(peak)
        first, last = peaks[0], peaks[-1]
        if million:
            peaks.append(self._million())
        growth = Measure(f'peak at {lengths[-1] // lengths[0]} times the length', most=FLAT)
        growth.ours.append(last.ours[0] / first.ours[0])
        if self.authors is not None:
            growth.theirs.append(last.theirs[0] / first.theirs[0])
        return [*peaks, growth]

    def _million(self) -> Measure:
        """Measure ours alone on a video that the authors' package cannot hold."""
        note(f'memory with {MILLION} frames')
        video = self.directory / 'million.mp4'
        our_child('synthesise', '--output', video, '--frames', str(MILLION), '--side', '32')
        peak = Measure(f'peak MB with {MILLION:,} frames of 32 x 32 px', most=MOST_MB)
        peak.ours.append(self._our_extraction([video])[0].peak)
        return peak

    def training(self, videos: Sequence[Path], epochs: int) -> list[Measure]:
        """Measure the share of training that waits for data."""
        note('training on 2 cores')
        copies = -(-TRAINING_VIDEOS // len(videos))
        folder = self._folder(list(videos) * copies, 'training_videos')
        result = our_child(
            'train',
            *sorted(folder.iterdir()),
            '--output',
            self.directory / 'training',
            '--epochs',
            str(epochs),
            extra={},
        ).result
        name = f'{result["cores"]} cores, {result["steps"]} steps an epoch'
        return [
            Measure(
                f'training that waits for data, % ({name})',
                [100 * share for share in result['data_wait_share']],
                most=5,
            ),
            Measure(f'training, images/s ({name})', result['images_per_second']),
        ]

    def _folder(self, videos: Sequence[Path], name: str) -> Path:
        """Link videos into one folder, which is all that the authors' command takes."""
        folder = self.directory / name
        folder.mkdir()
        for number, video in enumerate(videos):
            (folder / f'{number}_{video.name}').symlink_to(video)
        return folder

    def _output(self) -> Path:
        self._outputs += 1
        return self.directory / f'output_{self._outputs}'

    def _our_extraction(self, videos: Sequence[Path]) -> tuple[Child, Path]:
        output = self._output()
        child = our_child('extract', *videos, '--output', output, '--anchors', str(self.anchors))
        return child, output

    def _their_extraction(self, folder: Path) -> tuple[Child, Path]:
        assert self.authors is not None
        output = self._output()
        child = run_child(
            [
                self.authors / 'beast',
                'extract',
                '--input',
                folder,
                '--output',
                output,
                '--frames-per-video',
                str(self.anchors),
                '--workers',
                '1',
            ],
            ONE_THREAD,
        )
        # it takes a folder in which it finds nothing for a success
        if any(folder.iterdir()) and not any(output.rglob('*.png')):
            raise BenchmarkError(f"the authors' package extracted nothing from {folder}")
        return child, output

    def _their_delivery(self, png: Path) -> dict[str, Any]:
        assert self.authors is not None
        result = run_child(
            [
                self.authors / 'python',
                HERE / 'authors_worker.py',
                png,
                str(BATCH_SIZE),
                str(self.seconds),
            ],
            ONE_THREAD,
        ).result
        self.versions.update(
            {f"{name} (the authors')": value for name, value in result['versions'].items()}
        )
        return result


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def png_anchors(folder: Path) -> int:
    """Count the anchors, each once, of the authors' folder of frames."""
    return sum(
        len(set(table.read_text().split())) for table in folder.rglob('selected_frames.csv')
    )


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--video', type=Path, nargs='+', default=[VIDEO], help='.mp4 or .avi')
    parser.add_argument('--anchors', type=int, default=200, help='per video')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=6, help='of each delivery')
    parser.add_argument('--epochs', type=int, default=1, help='of training')
    parser.add_argument('--long', action='store_true', help='ten times longer synthetic videos')
    parser.add_argument(
        '--million', action='store_true', help='ours also on a video of a million frames'
    )
    parser.add_argument('--skip-authors', action='store_true', help='measure ours alone')
    parser.add_argument(
        '--environment',
        type=Path,
        default=CACHE,
        help="where the authors' environment is kept (%(default)s)",
    )
    parser.add_argument('--output', type=Path, help='also write every value to this CSV file')
    arguments = parser.parse_args()
    for video in arguments.video:
        if not video.is_file() or video.suffix.lower() not in ('.mp4', '.avi'):
            parser.error(f'{video} is not an .mp4 or .avi file; name one with --video')
    return arguments


def main() -> None:
    """Print the table."""
    arguments = read_arguments()
    videos = [video.resolve() for video in arguments.video]
    print(f'Machine: {machine()}')
    try:
        authors = None if arguments.skip_authors else authors_environment(arguments.environment)
        with tempfile.TemporaryDirectory(prefix='beast_lp_benchmark_') as directory:
            bench = Bench(
                Path(directory), authors, arguments.anchors, arguments.repeats, arguments.seconds
            )
            measures = [
                *bench.videos(videos),
                *bench.lengths(LONG_LENGTHS if arguments.long else LENGTHS, arguments.million),
                *bench.training(videos, arguments.epochs),
            ]
    except (BuildError, BenchmarkError) as error:
        sys.exit(str(error))
    print('Versions: ' + ', '.join(f'{name} {value}' for name, value in bench.versions.items()))
    print(f'Videos: {", ".join(map(str, videos))}; {arguments.anchors} anchors each\n')
    print(table(measures))
    print(f'\n{WAITING} At the end: {load()}.')
    if arguments.output:
        write_csv(arguments.output, measures)


if __name__ == '__main__':
    main()
