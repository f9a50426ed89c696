"""Reading anchor-positive pairs of the window store with DALI, which decodes on the GPU.

A worker process copies the few packets of each pair from its clip, without decoding them, and
writes those of a whole batch into two streams in memory, which DALI decodes and scales. The order
is therefore that of our own sampler, pair by pair. There are two streams, not one per pair,
because a GPU takes far longer to begin a stream than to decode its frames: of 64 pairs at 256 px,
an H100 (2026-11-26) read 1,700 frames/s from 1 stream, 2,600 from 2, 2,300 from 4, 1,600 from 8,
900 from 16 and 250 from 64; 960 frames in one stream were read at 3,200 frames/s.

DALI's own reader of video files was measured too. It reads every byte of the clips before the
first batch, takes an order of ours only from a list with a line per window, which has to be
rebuilt for every epoch, and skips silently what it cannot find. Copying the packets costs 0.1 ms a
pair.
"""

import ctypes
import io
from collections import deque
from collections.abc import Iterator, Sequence
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
from torch.utils.data import DataLoader, Dataset

from beast_lp.errors import BeastError
from beast_lp.video.batches import EvenBatches
from beast_lp.video.open_clips import OpenClip, OpenClips
from beast_lp.video.window_clip import OFFSETS, WINDOW
from beast_lp.video.window_store import WindowStore
from beast_lp.video.workers import outlast_signals

if TYPE_CHECKING:
    from nvidia.dali.backend import TensorListCPU, TensorListGPU
    from nvidia.dali.pipeline import Pipeline

Device = Literal['cpu', 'gpu']
Streams = list[UInt8[np.ndarray, ' bytes']]

# (height, width) in px of the smallest H.264 frames that every GPU's decoder takes (NVIDIA Video
# Codec SDK, capabilities of NVDEC)
_LEAST_SIZE = (16, 48)
# streams that a batch is divided among, where all its windows have one format
_STREAMS = 2
# characters kept of DALI's own messages, which come with stack traces
_LONGEST_REASON = 300


class PairOrder(Protocol):
    """Order of the pairs of a pass, such as `beast_lp.pretraining.pairs.PairSampler`."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield pairs: row of the anchor's window, row and offset (-1, 0, 1) of the positive's."""
        ...


class PairBatch(NamedTuple):
    """Decoded frames of a batch of pairs.

    Attributes:
        pixels: anchor and positive of each pair, on the device that decoded them.
        pairs: row of the anchor's window, row of the positive's, offset of the positive.
    """

    pixels: UInt8[Tensor, 'pairs 2 height width 3']
    pairs: Int[Tensor, 'pairs 3']


class EncodedBatch(NamedTuple):
    """Pairs that are not decoded yet.

    Attributes:
        streams: encoded videos of a few windows each.
        lengths: number of frames of each stream.
        places: index of each anchor and positive among the frames of all streams in a row.
        pairs: the same as in `PairBatch`.
    """

    streams: Streams
    lengths: list[int]
    places: Int[np.ndarray, 'pairs 2']
    pairs: Int[np.ndarray, 'pairs 3']


def dali_obstacle(store: WindowStore) -> str | None:
    """Return why DALI cannot read a store on a GPU of this machine, None if nothing is known.

    Args:
        store: window store.
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
    for size in sorted(store.clip_sizes()):
        if any(side < least for side, least in zip(size, _LEAST_SIZE, strict=True)):
            return f"a GPU's decoder takes no H.264 of {size[1]} x {size[0]} px"
    return None


class DaliPairs:
    """Batches of pairs in a sampler's order, decoded and scaled by DALI.

    Guaranteed: the pairs are exactly those of the sampler, in its order, so that the coverage of
    an epoch, the held-out windows, the shards of the ranks, the seed and resuming within an epoch
    depend on the sampler alone, as with the reader on the CPU. Every pass starts with the present
    epoch of the sampler, however far the previous pass went, and equal passes give equal batches.
    Each packet's time stamp is compared with its place in the clip, and the decoded frames are
    counted.

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
        workers: int = 0,
    ) -> None:
        """Set up the reading of packets, and check that DALI is there.

        Args:
            store: window store.
            sampler: pairs to read, in order.
            batch_size: number of pairs that a batch should have.
            size: (height, width) in px of the frames returned. Where it is smaller than the clip,
                a pixel is a weighted average of the area it covers.
            device: `gpu` is torch's current CUDA device; `cpu` serves tests, with clips in VP9.
            workers: number of processes that read packets; 0 reads them in this process.

        Raises:
            BeastError: if DALI is missing, or cannot decode the first clip on this device.
        """
        try:
            import nvidia.dali  # noqa: F401
        except (ImportError, OSError) as error:
            raise BeastError(
                f'DALI cannot be imported ({error}); install it with '
                '`pip install "beast-lp[dali]"`'
            ) from error
        self._size = size
        self._device: Device = device
        dataset = _EncodedPairs(store)
        if device == 'cpu' and dataset.codec(0) == 'h264':
            raise BeastError(
                'DALI cannot decode H.264 without a GPU; set beast.training.loader=pyav'
            )
        batches = EvenBatches(sampler, batch_size)
        self._largest = batches.largest
        self._loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=outlast_signals,
            collate_fn=_unchanged,
        )

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._loader)

    def __iter__(self) -> Iterator[PairBatch]:
        """Yield the batches of the sampler's epoch.

        Raises:
            BeastError: if a clip is missing or damaged, or DALI cannot decode a batch, for example
                because the GPU's memory is full.
        """
        waiting: deque[EncodedBatch] = deque()
        # the worker processes are started here, before DALI's threads exist
        batches = iter(self._loader)

        def source() -> Iterator[Streams]:
            for batch in batches:
                waiting.append(batch)
                yield batch.streams

        # each pass has its own pipeline, so that nothing is left over from an unfinished pass
        pipeline = build_pipeline(source(), 2 * self._largest, self._size, self._device)
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
            # once this memory is released, DALI may overwrite it without waiting for torch
            if copied is not None:
                copied.synchronize()
            del decoded


def build_pipeline(
    source: Iterator[Streams], most_streams: int, size: tuple[int, int], device: Device
) -> 'Pipeline':
    """Define the DALI pipeline from encoded streams to all their frames in one size.

    Args:
        source: yields the streams of each batch; a few batches are taken ahead of need.
        most_streams: largest number of streams in a batch.
        size: (height, width) in px of the frames.
        device: device that decodes and scales.

    Returns:
        the pipeline, defined but not built, so that no device is needed yet. A run gives the
        frames of each stream as uint8 (frames, height, width, 3), and raises StopIteration at the
        end of the source.
    """
    from nvidia.dali import fn, types
    from nvidia.dali.pipeline import Pipeline

    on_gpu = device == 'gpu'
    pipeline = Pipeline(
        most_streams,
        num_threads=_STREAMS,
        device_id=_cuda_index() if on_gpu else None,
        # outputs stay valid for as long as they are referred to
        exec_dynamic=True,
    )
    with pipeline:
        streams = fn.external_source(source, ndim=1, dtype=types.DALIDataType.UINT8)
        video = fn.decoders.video(
            streams,
            device='mixed' if on_gpu else 'cpu',
            # several trainings on one machine would pin their threads to the same cores
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
    """Copy anchors and positives from the frames of all streams to memory of torch's own."""
    streams = [torch.from_dlpack(decoded[at]) for at in range(len(decoded))]
    lengths = [len(stream) for stream in streams]
    if lengths != batch.lengths:
        raise _undecodable(f'streams of {batch.lengths} frames gave {lengths}')
    frames = torch.cat(streams)
    # a blocking copy would wait for everything that the GPU still has to do
    places = torch.from_numpy(batch.places).to(frames.device, non_blocking=True)
    return PairBatch(frames[places], torch.from_numpy(batch.pairs))


def _undecodable(reason: str) -> BeastError:
    return BeastError(
        f'DALI could not decode a batch of windows ({reason}); check that the GPU driver and '
        'nvidia-dali fit together, or set beast.training.loader=pyav'
    )


def _unchanged(batch: Any) -> Any:
    return batch


class _Piece(NamedTuple):
    """Packets of one window, for a pair or for one half of it.

    Attributes:
        clip: clip of the packets.
        packets: the first packets of the window.
        wanted: frames needed: packet, pair of the batch, and anchor (0) or positive (1).
    """

    clip: '_PacketClip'
    packets: list[Packet]
    wanted: list[tuple[int, int, int]]


class _EncodedPairs(Dataset[EncodedBatch]):
    """Map-style dataset from a batch of pairs to its undecoded frames."""

    def __init__(self, store: WindowStore) -> None:
        self._store = store
        self._clips = store.table['clip'].tolist()
        self._windows = store.table['window'].tolist()
        self._open = OpenClips(store.directory, _PacketClip)

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
        clip = self._open[self._clips[row]]
        count = 1 + max(place for place, _, _ in wanted)
        return _Piece(clip, clip.packets(self._windows[row], count), wanted)

    def codec(self, row: int) -> str:
        """Return FFmpeg's name of the codec of a window's clip."""
        return self._open[self._clips[row]].codec

    def __reduce__(self) -> tuple[type['_EncodedPairs'], tuple[WindowStore]]:
        """Pickle the dataset without its open clips."""
        return _EncodedPairs, (self._store,)


def _spread(pieces: Sequence[_Piece], count: int) -> Iterator[list[_Piece]]:
    """Divide pieces among about `count` streams, each of a format that one decoder can read."""
    longest = -(-len(pieces) // count)
    alike = sorted(pieces, key=lambda piece: piece.clip.format)
    for _, group in groupby(alike, key=lambda piece: piece.clip.format):
        while part := list(islice(group, longest)):
            yield part


class _PacketClip(OpenClip):
    """An open clip that is read packet by packet."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # packets of several clips can share a stream if these are equal
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
            raise self._damaged(f'the frames from {first} on have the time stamps {times}')
        return packets

    def remux(self, packets: Sequence[Packet]) -> UInt8[np.ndarray, ' bytes']:
        """Write packets of clips of the same format into one stream."""
        memory = io.BytesIO()
        with av.open(memory, 'w', format='mp4') as container:
            stream = container.add_stream_from_template(self._stream)
            for ordinal, packet in enumerate(packets):
                packet.stream = stream
                packet.time_base = self._time_base
                packet.pts = packet.dts = self._ticks(ordinal)
                container.mux(packet)
        return np.frombuffer(memory.getbuffer(), np.uint8)
