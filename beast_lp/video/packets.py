"""Pairs of the window store as streams in memory that are not decoded yet.

The few packets of each pair are copied from its clip, without decoding them, and those of a whole
batch are written into two streams. There are two, not one per pair, because a GPU takes far longer
to begin a stream than to decode its frames: of 64 pairs at 256 px, an H100 (2026-11-26) read 1,700
frames/s from 1 stream, 2,600 from 2, 2,300 from 4, 1,600 from 8, 900 from 16 and 250 from 64; 960
frames in one stream were read at 3,200 frames/s.
"""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from jaxtyping import Int, UInt8
from torch.utils.data import Dataset

from beast_lp.video.open_clips import OpenClip, OpenClips
from beast_lp.video.window_clip import OFFSETS, WINDOW
from beast_lp.video.window_store import WindowStore

Streams = list[UInt8[np.ndarray, ' bytes']]

# streams that a batch is divided among, where all its windows have one format
STREAMS = 2


class EncodedBatch(NamedTuple):
    """Pairs that are not decoded yet.

    Attributes:
        streams: encoded videos of a few windows each.
        lengths: number of frames of each stream.
        places: index of each anchor and positive among the frames of all streams in a row.
        pairs: row of the anchor's window, row of the positive's, offset of the positive.
    """

    streams: Streams
    lengths: list[int]
    places: Int[np.ndarray, 'pairs 2']
    pairs: Int[np.ndarray, 'pairs 3']


class _Piece(NamedTuple):
    """Packets of one window, for a pair or for one half of it.

    Attributes:
        clip: clip of the packets.
        packets: the first packets of the window.
        wanted: frames needed: packet, pair of the batch, and anchor (0) or positive (1).
    """

    clip: 'PacketClip'
    packets: list[Packet]
    wanted: list[tuple[int, int, int]]


class EncodedPairs(Dataset[EncodedBatch]):
    """Map-style dataset from a batch of pairs to its undecoded frames."""

    def __init__(self, store: WindowStore) -> None:
        """Keep the place of every window.

        Args:
            store: window store.
        """
        self._store = store
        self._clips = store.table['clip'].tolist()
        self._windows = store.table['window'].tolist()
        self._open = OpenClips(store.directory, PacketClip)

    def __getitem__(self, pairs: Sequence[tuple[int, int, int]]) -> EncodedBatch:
        """Copy the packets of a batch.

        Args:
            pairs: row of the anchor's window, row and offset (-1, 0, 1) of the positive's.

        Raises:
            BeastError: if a clip is missing or damaged.
        """
        pieces = [piece for at, pair in enumerate(pairs) for piece in self._pieces(at, *pair)]
        places = np.empty((len(pairs), 2), np.int64)
        streams, lengths = [], []
        for part in _spread(pieces, STREAMS):
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

    def __reduce__(self) -> tuple[type['EncodedPairs'], tuple[WindowStore]]:
        """Pickle the dataset without its open clips."""
        return EncodedPairs, (self._store,)


def _spread(pieces: Sequence[_Piece], count: int) -> Iterator[list[_Piece]]:
    """Divide pieces among about `count` streams, each of a format that one decoder can read."""
    longest = -(-len(pieces) // count)
    alike = sorted(pieces, key=lambda piece: piece.clip.format)
    for _, group in groupby(alike, key=lambda piece: piece.clip.format):
        while part := list(islice(group, longest)):
            yield part


class PacketClip(OpenClip):
    """An open clip that is read packet by packet."""

    def __init__(self, path: Path) -> None:
        """Open a clip.

        Args:
            path: file of the clip.

        Raises:
            BeastError: if it is missing or damaged.
        """
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
