"""Reading anchor-positive pairs of the window store with DALI, which decodes on the GPU.

A worker process takes the few packets of each pair out of its clip, without decoding them, and
puts those of a whole batch into two clips in memory; DALI decodes and scales them. The order is
therefore that of our own sampler, pair by pair. Two clips and not one per pair, because a GPU
takes far longer to begin a clip than to decode its frames: of 64 pairs at 256 px, an H100
(2026-11-26) read 1,700 frames/s from 1 clip, 2,600 from 2, 2,300 from 4, 1,600 from 8, 900 from 16
and 250 from 64; the 960 frames of one clip by themselves went at 3,200.

DALI's own reader of video files was measured too. It reads every byte of the clips before the
first batch, follows an order of ours only through a list with a line per window that has to be
rebuilt for every epoch, and passes over what it cannot find in silence. Taking out the packets
costs 0.1 ms a pair.
"""

import ctypes
import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import av
import numpy as np
import torch
from av.error import FFmpegError
from av.packet import Packet
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from beast_lp.errors import BeastError
from beast_lp.video.window_clip import OFFSETS, WINDOW
from beast_lp.video.window_store import OPEN_CLIPS, OpenClip, WindowStore
from beast_lp.video.workers import outlast_signals

if TYPE_CHECKING:
    from nvidia.dali.backend import TensorListCPU, TensorListGPU
    from nvidia.dali.pipeline import Pipeline

Device = Literal['cpu', 'gpu']

# of the codecs that a window store can have
CPU_CODECS = ('vp9',)
# px, (height, width): the smallest pictures that every GPU's decoder takes, by codec (NVIDIA Video
# Codec SDK, capabilities of NVDEC)
_LEAST_SIDES = {'h264': (16, 48), 'vp9': (128, 128)}
# clips that a batch is spread over, where all its windows are of one format
_STREAMS = 2
# characters of DALI's own messages, which come with stack traces
_LONGEST_REASON = 300


class PairOrder(Protocol):
    """What `DaliPairs` reads in a pass; `beast_lp.pretraining.pairs.PairSampler` is one."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield pairs: window of the anchor, window of the positive, its offset (-1, 0, 1)."""
        ...


class PairBatch(NamedTuple):
    """The frames of a batch of pairs, and which they are."""

    # anchor, positive; on the device that decoded them
    pixels: UInt8[Tensor, 'pairs 2 height width 3']
    # row of the anchor's window, row of the positive's, offset of the positive
    pairs: Int[Tensor, 'pairs 3']


class EncodedBatch(NamedTuple):
    """Pairs that are not decoded yet."""

    # clips of a few windows each
    streams: list[UInt8[np.ndarray, ' bytes']]
    # frames in each of them
    lengths: list[int]
    # of anchor and positive among the frames of all streams, one stream after the other
    places: Int[np.ndarray, 'pairs 2']
    pairs: Int[np.ndarray, 'pairs 3']


def dali_obstacle(store: WindowStore) -> str | None:
    """Say why DALI cannot read a store on a GPU of this machine; None if nothing is known.

    On a CPU, PyAV reads the same store faster.
    """
    if not torch.cuda.is_available():
        return 'there is no CUDA device'
    try:
        from nvidia.dali import fn
    except (ImportError, OSError) as error:
        return f'DALI cannot be imported ({error})'
    if not hasattr(fn.decoders, 'video'):
        return 'this DALI is older than 2.0'
    try:
        # containers often come without this part of the driver
        ctypes.CDLL('libnvcuvid.so.1')
    except OSError:
        return "the driver's video decoder (libnvcuvid.so.1) is not installed"
    codec = _EncodedPairs(store).codec(0)
    for size in sorted(store.clip_sizes()):
        if any(side < least for side, least in zip(size, _LEAST_SIDES[codec], strict=True)):
            return f"a GPU's decoder takes no {codec} of {size[1]} x {size[0]} px"
    return None


Streams = list[UInt8[np.ndarray, ' bytes']]


class DaliPairs:
    """Batches of pairs in a sampler's order, decoded and scaled by DALI.

    Guaranteed: the pairs are exactly those of the sampler, in its order, so that the epoch's
    coverage, the held-out windows, the shards of the ranks, the seed and a resume within an epoch
    are the sampler's, as for the reader on the CPU. Every pass over the object starts with the
    sampler's present epoch, however far the pass before it went, and equal passes give equal
    batches. Each packet's time stamp is compared with its place in the clip, and the frames that
    were decoded are counted.

    Not guaranteed: that pixels equal those of `WindowStore.read`. Conversion and scaling differ by
    a few grey levels.
    """

    def __init__(
        self,
        store: WindowStore,
        sampler: PairOrder,
        batch_size: int,
        size: tuple[int, int],
        device: Device = 'gpu',
        drop_last: bool = False,
        workers: int = 0,
    ) -> None:
        """Read from a store; DALI is imported here.

        Args:
            store: the window store.
            sampler: what to read, and in which order.
            batch_size: pairs in a batch.
            size: (height, width) in px of the frames returned. Where it is smaller than the clip,
                a pixel is a weighted average of the area it covers.
            device: `gpu` is torch's current CUDA device; `cpu` is for tests.
            drop_last: leave out the last batch of an epoch if it is smaller.
            workers: processes that read the packets; 0 reads them in this one.

        Raises:
            BeastError: if DALI is missing, or cannot decode the first clip's codec on this device.
        """
        try:
            import nvidia.dali  # noqa: F401
        except (ImportError, OSError) as error:
            raise BeastError(
                f'DALI cannot be imported ({error}); install it with '
                '`pip install "beast-lp[dali]"`'
            ) from error
        self._batch_size = batch_size
        self._size = size
        self._device: Device = device
        dataset = _EncodedPairs(store)
        codec = dataset.codec(0)
        if device == 'cpu' and codec not in CPU_CODECS:
            raise BeastError(
                f'DALI cannot decode {codec} without a GPU; read the windows in '
                f'{store.directory} with PyAV (beast.training.loader=pyav), or store them with '
                'beast.windows.codec=vp9'
            )
        # by its type, a sampler of batches takes one of integers
        order: Any = sampler
        self._loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=BatchSampler(order, batch_size, drop_last),
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=outlast_signals,
            collate_fn=_as_it_is,
        )

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._loader)

    def __iter__(self) -> Iterator[PairBatch]:
        """Yield the batches of the sampler's epoch.

        Raises:
            BeastError: if a clip is missing or damaged, or DALI cannot decode a batch, for want of
                the GPU's memory for one.
        """
        waiting: deque[EncodedBatch] = deque()
        # its processes start to read here, before DALI's threads exist
        batches = iter(self._loader)

        def source() -> Iterator[Streams]:
            for batch in batches:
                waiting.append(batch)
                yield batch.streams

        # a pipeline of its own for each pass: nothing is left over from one that was not finished
        pipeline = build_pipeline(source(), 2 * self._batch_size, self._size, self._device)
        copied = torch.cuda.Event() if self._device == 'gpu' else None
        while True:
            try:
                (decoded,) = pipeline.run()
            except StopIteration:
                return
            except (RuntimeError, MemoryError) as error:
                raise _undecodable(' '.join(str(error).split())[:_LONGEST_REASON]) from error
            batch = _as_batch(decoded, waiting.popleft())
            if copied is not None:
                copied.record()
            yield batch
            # DALI may write there again as soon as we let go, and knows nothing of torch's stream
            if copied is not None:
                copied.synchronize()
            del decoded


def build_pipeline(
    source: Iterator[Streams], most_streams: int, size: tuple[int, int], device: Device
) -> 'Pipeline':
    """Define the DALI pipeline: clips in memory in, all their frames in one size out.

    Args:
        source: yields the clips of batches; a few batches are taken ahead of need.
        most_streams: clips of a batch, at most.
        size: (height, width) in px of the frames.
        device: where to decode and scale.

    Returns:
        the pipeline, defined and not built, so that no device is needed yet. A run gives, for each
        clip, its frames as uint8 (frames, height, width, 3), or StopIteration at the source's end.
    """
    from nvidia.dali import fn, types
    from nvidia.dali.pipeline import Pipeline

    on_gpu = device == 'gpu'
    pipeline = Pipeline(
        most_streams,
        num_threads=_STREAMS,
        device_id=_cuda_index() if on_gpu else None,
        # outputs are ours for as long as we refer to them
        exec_dynamic=True,
    )
    with pipeline:
        streams = fn.external_source(source, ndim=1, dtype=types.DALIDataType.UINT8)
        video = fn.decoders.video(
            streams,
            device='mixed' if on_gpu else 'cpu',
            # processes that train side by side would all pin their threads to the same cores
            affine=False,
        )
        scaled = fn.resize(
            video,
            size=size,
            interp_type=types.DALIInterpType.INTERP_LINEAR,
            antialias=True,
        )
        pipeline.set_outputs(scaled)
    return pipeline


def _cuda_index() -> int:
    return torch.cuda.current_device() if torch.cuda.is_available() else 0


def _as_batch(decoded: 'TensorListCPU | TensorListGPU', batch: EncodedBatch) -> PairBatch:
    """Pick anchors and positives out of the frames of all clips, into memory of torch's own."""
    clips = [torch.from_dlpack(decoded[at]) for at in range(len(decoded))]
    lengths = [len(clip) for clip in clips]
    if lengths != batch.lengths:
        raise _undecodable(f'clips of {batch.lengths} frames gave {lengths}')
    frames = torch.cat(clips)
    # a copy that waits would wait for all that the GPU still has to do
    places = torch.from_numpy(batch.places).to(frames.device, non_blocking=True)
    return PairBatch(frames[places], torch.from_numpy(batch.pairs))


def _undecodable(reason: str) -> BeastError:
    return BeastError(
        f'DALI could not decode a batch of windows ({reason}); check that the GPU driver and '
        'nvidia-dali fit together, or set beast.training.loader=pyav'
    )


def _as_it_is(batch: Any) -> Any:
    return batch


class _Piece(NamedTuple):
    """The packets of one window, for one pair or for one half of it."""

    clip: '_Clip'
    packets: list[Packet]
    # which of them is the anchor (0) or the positive (1) of which pair of the batch
    wanted: list[tuple[int, int, int]]


class _EncodedPairs(Dataset[EncodedBatch]):
    """Map-style dataset: a batch of pairs goes in, its undecoded frames come out."""

    def __init__(self, store: WindowStore) -> None:
        self._store = store
        self._clips = store.table['clip'].tolist()
        self._windows = store.table['window'].tolist()
        self._open = lru_cache(OPEN_CLIPS)(_Clip)

    def __getitem__(self, pairs: Sequence[tuple[int, int, int]]) -> EncodedBatch:
        pieces = [piece for at, pair in enumerate(pairs) for piece in self._pieces(at, *pair)]
        places = np.empty((len(pairs), 2), np.int64)
        streams, lengths = [], []
        for part in _spread(pieces, _STREAMS):
            packets: list[Packet] = []
            for piece in part:
                for packet, pair, which in piece.wanted:
                    places[pair, which] = sum(lengths) + len(packets) + packet
                packets += piece.packets
            streams.append(part[0].clip.remux(packets))
            lengths.append(len(packets))
        return EncodedBatch(streams, lengths, places, np.array(pairs, np.int64))

    def _pieces(self, at: int, anchor: int, window: int, offset: int) -> list[_Piece]:
        middle, place = -OFFSETS[0], offset - OFFSETS[0]
        if window == anchor:
            return [self._piece(anchor, [(middle, at, 0), (place, at, 1)])]
        return [self._piece(anchor, [(middle, at, 0)]), self._piece(window, [(place, at, 1)])]

    def _piece(self, row: int, wanted: list[tuple[int, int, int]]) -> _Piece:
        clip = self._clip(row)
        count = 1 + max(place for place, _, _ in wanted)
        return _Piece(clip, clip.packets(self._windows[row], count), wanted)

    def codec(self, row: int) -> str:
        """Return FFmpeg's name of the codec of a window's clip."""
        return self._clip(row).codec

    def _clip(self, row: int) -> '_Clip':
        # a forked process shares the file positions of its parent's open files
        return self._open(self._store.directory / self._clips[row], os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        return {'store': self._store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state['store'])


def _spread(pieces: Sequence[_Piece], count: int) -> Iterator[list[_Piece]]:
    """Divide pieces among about as many clips, each with what one decoder can go on through."""
    longest = -(-len(pieces) // count)
    alike = sorted(pieces, key=lambda piece: piece.clip.format)
    for _, group in groupby(alike, key=lambda piece: piece.clip.format):
        while part := list(islice(group, longest)):
            yield part


class _Clip(OpenClip):
    """An open clip, read packet by packet."""

    def __init__(self, path: Path, process: int) -> None:
        """Open; `process` is there to tell the clips of forked processes apart."""
        super().__init__(path)
        # what packets of several clips must have in common to be those of one
        context = self._stream.codec_context
        self.format = (context.name, context.width, context.height, context.extradata or b'')

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec."""
        return self._stream.codec_context.name

    def packets(self, window: int, count: int) -> list[Packet]:
        """Return the first packets of a window, one per frame."""
        first = WINDOW * window
        try:
            self._container.seek(self._ticks(first), stream=self._stream)
            packets = list(islice(self._container.demux(self._stream), count))
        except FFmpegError as error:
            raise self._damaged(f'{error.strerror} at frame {first}') from error
        times = [packet.pts for packet in packets]
        if times != [self._ticks(first + place) for place in range(count)]:
            raise self._damaged(f'at frame {first} the time stamps {times} were found')
        return packets

    def remux(self, packets: Sequence[Packet]) -> UInt8[np.ndarray, ' bytes']:
        """Write packets, of clips of the same format, as a clip of their own."""
        memory = io.BytesIO()
        with av.open(memory, 'w', format='mp4') as container:
            stream = container.add_stream_from_template(self._stream)
            for ordinal, packet in enumerate(packets):
                packet.stream = stream
                packet.time_base = self._time_base
                packet.pts = packet.dts = self._ticks(ordinal)
                container.mux(packet)
        return np.frombuffer(memory.getbuffer(), np.uint8)
