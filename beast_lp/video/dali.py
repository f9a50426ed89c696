"""Reading anchor-positive pairs of the window store with DALI, which decodes on the GPU.

`packets` writes the pairs of a batch, still encoded, into streams in memory, which DALI decodes
and scales. The order is therefore that of our own sampler, pair by pair.

DALI's own reader of video files was measured too. It reads every byte of the clips before the
first batch, takes an order of ours only from a list with a line per window, which has to be
rebuilt for every epoch, and skips silently what it cannot find. Copying the packets costs 0.1 ms a
pair.
"""

import ctypes
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from beast_lp.errors import BeastError
from beast_lp.video.batches import EvenBatches
from beast_lp.video.packets import STREAMS, EncodedBatch, EncodedPairs, Streams
from beast_lp.video.window_store import WindowStore
from beast_lp.video.workers import outlast_signals

if TYPE_CHECKING:
    from nvidia.dali.backend import TensorListCPU, TensorListGPU
    from nvidia.dali.pipeline import Pipeline

Device = Literal['cpu', 'gpu']

# (height, width) in px of the smallest H.264 frames that every GPU's decoder takes (NVIDIA Video
# Codec SDK, capabilities of NVDEC)
_LEAST_SIZE = (16, 48)
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
        dataset = EncodedPairs(store)
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
        num_threads=STREAMS,
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
