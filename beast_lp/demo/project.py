"""Write the synthetic lab to disk as a Lightning Pose project."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from PIL import Image

from beast_lp.demo.animal import Look, make_look, render
from beast_lp.demo.arena import make_arena
from beast_lp.demo.movement import BEHAVIORS, COVARIATES, Movement, simulate_movement
from beast_lp.demo.neurons import Neurons, make_neurons
from beast_lp.demo.settings import FULL, DemoSize
from beast_lp.demo.shapes import Picture
from beast_lp.demo.skeleton import KEYPOINTS, Skeleton, build_skeleton
from beast_lp.demo.template import README, config_text
from beast_lp.encoding.metrics import bits_per_spike
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_folder
from beast_lp.runs.progress import Bar, progress_bar

CONFIG_NAME = 'config_demo.yaml'
# range of the animals' size, nose to tail base, as a share of the image side
SIZE = (0.32, 0.36)
SCORER = 'synthetic_lab'


@dataclass(frozen=True)
class _Session:
    """One video to write, and its own random generator."""

    name: str
    folder: str
    movement: Movement
    skeleton: Skeleton
    look: Look
    labeled: Int[np.ndarray, ' labels']
    rng: np.random.Generator


def write_project(directory: Path, size: DemoSize = FULL, seed: int = 0) -> Path:
    """Write a complete Lightning Pose project with known ground truth.

    It holds H.264 videos of a drawn animal, labelled frames, exact keypoints, behaviour and
    simulated spikes; `README.txt` in it lists the files. The folder appears only when complete.
    On one machine, equal arguments give equal files.

    Args:
        directory: folder of the project; it must not exist, or be empty.
        size: amount of data, `FULL` or `TINY`.
        seed: seed of all randomness; each video has its own stream.

    Returns:
        The absolute path of the config file.

    Raises:
        BeastError: if the directory is a file or holds something.
    """
    directory = Path(directory).resolve()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        kind = 'is not empty' if directory.is_dir() else 'is a file'
        raise BeastError(f'{directory} {kind}; give a new or empty folder for the demo project')
    with finished_folder(directory) as part:
        _write_all(part, directory, size, seed)
    return directory / CONFIG_NAME


def _write_all(part: Path, directory: Path, size: DemoSize, seed: int) -> None:
    """Write all files into `part`, for a project that will be at `directory`."""
    for_arena, for_neurons, *for_videos = np.random.SeedSequence(seed).spawn(size.videos + 2)
    arena = make_arena(size.image_side, np.random.default_rng(for_arena))
    sessions = [
        _plan_session(number, size, np.random.default_rng(stream))
        for number, stream in enumerate(for_videos)
    ]
    _write_videos(part, sessions, arena, size.fps)
    recorded = sessions[0]
    neurons = make_neurons(
        recorded.movement.covariates(),
        size.neurons,
        1 / size.fps,
        np.random.default_rng(for_neurons),
    )
    _write_spikes(part / 'spikes' / f'{recorded.name}.npz', recorded, neurons, size.fps)
    _write_labels(part / 'CollectedData.csv', sessions[:-1])
    _write_labels(part / 'CollectedData_new.csv', sessions[-1:])
    (part / 'README.txt').write_text(README, encoding='utf-8')
    (part / CONFIG_NAME).write_text(
        config_text(directory, list(KEYPOINTS), size),
        encoding='utf-8',
    )


def _plan_session(number: int, size: DemoSize, rng: np.random.Generator) -> _Session:
    """Draw everything about a video except its pixel noise and its spikes."""
    frames = size.frames(number)
    movement = simulate_movement(frames, rng)
    return _Session(
        name=f'session_{number + 1:02d}',
        folder='videos_test' if number == size.videos - 1 else 'videos',
        movement=movement,
        skeleton=build_skeleton(movement, size.image_side, rng.uniform(*SIZE)),
        look=make_look(rng),
        labeled=_choose_frames(frames, size.labels(number), rng),
        rng=rng,
    )


def _choose_frames(frames: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, ' count']:
    """Draw one frame from each of `count` equal stretches of the video."""
    edges = np.linspace(0, frames, count + 1).astype(int)
    return np.array(
        [rng.integers(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)],
        dtype=int,
    )


def _write_videos(part: Path, sessions: list[_Session], arena: Picture, fps: int) -> None:
    """Write several videos at once: most of the work is done outside Python's lock."""
    total = sum(len(session.movement.behavior) for session in sessions)
    bar = progress_bar(desc='drawing videos', unit='frame', total=total)
    with bar, ThreadPoolExecutor() as pool:
        tasks = [
            pool.submit(_write_session, part, session, arena, fps, bar) for session in sessions
        ]
        for task in tasks:
            task.result()


def _write_session(part: Path, session: _Session, arena: Picture, fps: int, bar: Bar) -> None:
    """Write one video, its labelled frames, keypoints and behaviour."""
    video = part / session.folder / f'{session.name}.mp4'
    for folder in ('truth', 'behavior', session.folder):
        (part / folder).mkdir(exist_ok=True)
    frames = _counted(render(session.skeleton, arena, session.look, session.rng), bar)
    encode_video(video, frames, arena.shape[0], fps)
    _extract_frames(video, part / 'labeled-data' / session.name, session.labeled)
    _write_truth(part / 'truth' / f'{session.name}_keypoints.csv', session.skeleton)
    one_hot = np.eye(len(BEHAVIORS), dtype=int)[session.movement.behavior]
    pd.DataFrame(one_hot, columns=pd.Index(BEHAVIORS)).to_csv(
        part / 'behavior' / f'{session.name}.csv'
    )


def _counted(
    frames: Iterable[UInt8[np.ndarray, 'side side 3']], bar: Bar
) -> Iterator[UInt8[np.ndarray, 'side side 3']]:
    for frame in frames:
        yield frame
        bar.update()


def encode_video(
    path: Path, frames: Iterable[UInt8[np.ndarray, 'side side 3']], side: int, fps: int
) -> None:
    """Encode square RGB frames as H.264 (yuv420p), one frame in memory at a time.

    Args:
        path: the mp4 file.
        frames: RGB pictures.
        side: height and width in pixels, even.
        fps: frames per second.
    """
    with av.open(str(path), 'w') as container:
        # with mbtree, x264 wrote different files in about 1 of 50 runs on the same pictures
        options = {'crf': '16', 'g': str(fps), 'preset': 'medium', 'mbtree': '0'}
        stream = container.add_stream('libx264', rate=Fraction(fps), options=options)
        stream.width = stream.height = side
        stream.pix_fmt = 'yuv420p'
        # the output of x264 and of the colour conversion depends on their number of threads
        stream.thread_count = 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture.reformat(format='yuv420p', threads=1)))
        container.mux(stream.encode())


def _extract_frames(video: Path, folder: Path, wanted: Int[np.ndarray, ' labels']) -> None:
    """Save frames of the encoded video, which is what a person labels."""
    folder.mkdir(parents=True)
    missing = set(wanted.tolist())
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in missing:
                picture = Image.fromarray(frame.to_ndarray(format='rgb24'))
                picture.save(folder / _image_name(index))
                missing.remove(index)
    if missing:
        raise BeastError(
            f'{video} decodes to too few frames ({sorted(missing)} are missing); '
            'check the installation of the `av` package'
        )


def _image_name(frame: int) -> str:
    return f'img{frame:08d}.png'


def _write_labels(path: Path, sessions: list[_Session]) -> None:
    """Write labels with DeepLabCut's header of three rows, which the host reads."""
    columns = pd.MultiIndex.from_product(
        [[SCORER], list(KEYPOINTS), ['x', 'y']], names=['scorer', 'bodyparts', 'coords']
    )
    tables = [
        pd.DataFrame(
            session.skeleton.keypoints()[session.labeled].reshape(len(session.labeled), -1),
            index=pd.Index(
                [f'labeled-data/{session.name}/{_image_name(frame)}' for frame in session.labeled]
            ),
            columns=columns,
        )
        for session in sessions
    ]
    pd.concat(tables).to_csv(path, float_format='%.4f')


def _write_truth(path: Path, skeleton: Skeleton) -> None:
    """Write all keypoints in the layout of the host's prediction files."""
    keypoints = skeleton.keypoints()
    likelihood = np.ones((*keypoints.shape[:2], 1))
    columns = pd.MultiIndex.from_product(
        [[SCORER], list(KEYPOINTS), ['x', 'y', 'likelihood']],
        names=['scorer', 'bodyparts', 'coords'],
    )
    values = np.concatenate([keypoints, likelihood], axis=2).reshape(len(keypoints), -1)
    pd.DataFrame(values, columns=columns).to_csv(path, float_format='%.4f')


def _write_spikes(path: Path, session: _Session, neurons: Neurons, fps: int) -> None:
    """Draw spikes, one bin per frame, and write them with the true rates."""
    covariates = session.movement.covariates()
    # rounded first, so that the ceiling is that of the rates in the file
    rates: Float[np.ndarray, 'bins neurons'] = neurons.rates(covariates).astype(np.float32)
    counts = session.rng.poisson(rates).astype(np.uint16)
    times = (np.arange(len(counts)) + 0.5) / fps
    path.parent.mkdir()
    np.savez(
        path,
        spike_counts=counts,
        bin_times=times,
        bin_width=1 / fps,
        frame_times=times,
        true_rate=rates,
        bits_per_spike_ceiling=bits_per_spike(counts, rates).per_neuron,
        covariates=covariates.astype(np.float32),
        covariate_names=np.array(COVARIATES),
    )
