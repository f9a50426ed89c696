"""Files that no reader can use, by kind; each writer makes one at a path that it is given."""

# the inputs are wrong on purpose, in type too
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportRedeclaration=false, reportReturnType=false, reportCallIssue=false

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

# a file of this name appears where a pickle was opened
CANARY = 'code-ran'

Writer = Callable[[Path], object]


class _Bomb:
    """Pickles to a call that writes the canary into the current directory."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(CANARY),)


def _garbage(path: Path, size: int = 4096) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(size))


def _text(words: str, encoding: str = 'utf-8') -> Writer:
    return lambda path: path.write_bytes(words.encode(encoding))


def _bytes(content: bytes) -> Writer:
    return lambda path: path.write_bytes(content)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to('nowhere at all')


# at any path of ours or theirs
ANYWHERE: dict[str, Writer] = {
    'missing': lambda path: None,
    'empty': _text(''),
    'garbage': _garbage,
    'a folder': lambda path: path.mkdir(),
    'a link loop': _loop,
    'a dangling link': _dangling,
    'a FIFO': lambda path: os.mkfifo(path),
    'a device': lambda path: path.symlink_to('/dev/null'),
    'an endless device': lambda path: path.symlink_to('/dev/zero'),
}

# encodings and damage of any text
TEXTS: dict[str, Writer] = {
    'UTF-16': _text('a,b\né,1\n', 'utf-16'),
    'cp1252': _text('a,b\né,1\n', 'cp1252'),
    'NUL bytes': _bytes(b'a,b\n\0\0,1\n'),
    'one line of 1 MB': _text('x' * 1_000_000),
}


def _clip(path: Path, frames: int = 3, side: int = 64, codec: str = 'libx264') -> None:
    """Write a small video, whatever its suffix."""
    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = 'yuv420p'
        for number in range(frames):
            picture = np.full((side, side, 3), 40 * number % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())


def _sound(path: Path) -> None:
    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('aac', rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _picture(path: Path) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path, format='PNG')


def _part_of_clip(share: float) -> Writer:
    def write(path: Path) -> None:
        _clip(path, frames=30)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return write


def _holes_in_clip(path: Path) -> None:
    _clip(path, frames=30)
    content = bytearray(path.read_bytes())
    for at in range(48, len(content), 7):
        content[at] ^= 0xFF
    path.write_bytes(content)


VIDEOS: dict[str, Writer] = {
    **ANYWHERE,
    'text': _text('this is no video'),
    'an ffconcat list': _text('ffconcat version 1.0\nfile /etc/hostname\n'),
    'an m3u8 list': _text('#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n'),
    'an SDP session': _text('v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n'),
    'sound alone': _sound,
    'a picture': _picture,
    'no frames': lambda path: _clip(path, frames=0),
    'half a file': _part_of_clip(0.5),
    'a tenth of a file': _part_of_clip(0.1),
    'holes': _holes_in_clip,
    'one frame': lambda path: _clip(path, frames=1),
    '16 px': lambda path: _clip(path, side=16),
}


def _saved(content: object, name: str = '') -> Writer:
    return lambda path: torch.save(content, path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({'state_dict': _Bomb()}))


def _torch_pickled(path: Path) -> None:
    torch.save({'state_dict': _Bomb(), 'pytorch-lightning_version': '2.0'}, path)


def _old_torch_pickled(path: Path) -> None:
    torch.save({'state_dict': _Bomb()}, path, _use_new_zipfile_serialization=False)


def _zip_of(name: str, content: bytes) -> Writer:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr(name, content)

    return write


CHECKPOINTS: dict[str, Writer] = {
    **{kind: writer for kind, writer in ANYWHERE.items() if kind != 'a folder'},
    'text': _text('this is no checkpoint'),
    'a pickle that writes a file': _pickled,
    'a torch file that writes a file': _torch_pickled,
    'an old torch file that writes a file': _old_torch_pickled,
    'a zip without tensors': _zip_of('hello.txt', b'hello'),
    'a zip with a broken pickle': _zip_of('archive/data.pkl', b'\x80\x02garbage'),
    'a number': _saved(7),
    'a list': _saved([torch.zeros(2)]),
    'no tensors': _saved({'state_dict': {}}),
    'numbers for tensors': _saved({'state_dict': {'encoder.layer.0.weight': 3}}),
    'a ResNet': _saved({'state_dict': {'conv1.weight': torch.zeros(64, 3, 7, 7)}}),
    'a lone patch embedding': _saved(
        {'state_dict': {'vit.embeddings.patch_embeddings.projection.weight': torch.zeros(4, 3, 2)}}
    ),
}


def safetensors_header(header: object, size: int | None = None) -> Writer:
    """Return a writer of a .safetensors file with a header and no tensors.

    Args:
        header: content of the header.
        size: length that the file claims for it; None for the true one.
    """
    text = json.dumps(header).encode()
    return _bytes(struct.pack('<Q', len(text) if size is None else size) + text)


SAFETENSORS: dict[str, Writer] = {
    **ANYWHERE,
    'a huge header': safetensors_header({}, 2**62),
    'no tensors': safetensors_header({}),
    'a header that is a list': safetensors_header([1]),
    'a tensor without bytes': safetensors_header(
        {'a': {'dtype': 'F32', 'shape': [10**6, 10**6], 'data_offsets': [0, 4 * 10**12]}}
    ),
    'a pickle that writes a file': _pickled,
}


def _npy(array: object) -> Writer:
    def write(path: Path) -> None:
        with path.open('wb') as file:
            np.save(file, np.asarray(array))

    return write


def _npy_header(shape: str, descr: str = '<f8') -> Writer:
    """Return a writer of a .npy file that claims a shape and holds no data."""
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + '\n'
    return _bytes(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode())


def _npy_pickled(path: Path) -> None:
    np.save(path.open('wb'), np.array([_Bomb()], dtype=object), allow_pickle=True)


ARRAYS: dict[str, Writer] = {
    **ANYWHERE,
    'text': _text('1,2,3\n'),
    'pickled objects': _npy_pickled,
    'a bare pickle': _pickled,
    'a claim of 10 TB': _npy_header('(1250000000000,)'),
    'a negative shape': _npy_header('(-1,)'),
    'an unknown type': _npy_header('(1,)', 'what'),
    'one number': _npy(1.0),
    'no numbers': _npy(np.zeros(0)),
    'three dimensions': _npy(np.zeros((2, 2, 2))),
    'strings': _npy(['a', 'b']),
    'complex numbers': _npy(np.zeros(60, complex)),
    'dates': _npy(np.zeros(60, 'datetime64[s]')),
    'NaN': _npy(np.full(60, np.nan)),
    'infinite numbers': _npy(np.full(60, np.inf)),
    'falling numbers': _npy(np.arange(60.0)[::-1]),
    'huge numbers': _npy(np.full(60, 1e308)),
    'a record': _npy(np.zeros(60, [('a', 'f4')])),
}


def npz(**arrays: object) -> Writer:
    """Return a writer of a .npz file."""

    def write(path: Path) -> None:
        with path.open('wb') as file:
            np.savez(file, **{name: np.asarray(value) for name, value in arrays.items()})

    return write


def _npz_pickled(path: Path) -> None:
    with path.open('wb') as file:
        np.savez(file, spike_counts=np.array([_Bomb()], dtype=object), bin_width=0.04)


def _npz_bomb(path: Path) -> None:
    """Write an archive of 8 MB that unpacks to 8 GB of zeros."""
    shape, head = (10**9, 1), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {'descr': '<f8', 'fortran_order': False, 'shape': shape}
    )
    with (
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open('spike_counts.npy', 'w', force_zip64=True) as file,
    ):
        file.write(head.getvalue())
        # the first part is enough: nobody should begin to unpack it
        file.write(bytes(2**26))


def _spikes(**changes: object) -> Writer:
    """Return a writer of a recording that is good but for some arrays; None leaves one out."""
    good: dict[str, object] = {
        'spike_counts': np.random.default_rng(0).poisson(2.0, (60, 4)),
        'bin_width': 0.04,
        'bin_times': (np.arange(60) + 0.5) / 25,
        'frame_times': (np.arange(60) + 0.5) / 25,
    }
    merged = {**good, **changes}
    return npz(**{name: value for name, value in merged.items() if value is not None})


SPIKES: dict[str, Writer] = {
    **{kind: writer for kind, writer in ANYWHERE.items() if kind != 'a folder'},
    'text': _text('1,2,3\n'),
    'pickled objects': _npz_pickled,
    'a bare pickle': _pickled,
    'a bomb of zeros': _npz_bomb,
    'a zip without arrays': _zip_of('hello.txt', b'hello'),
    'a zip with a broken array': _zip_of('spike_counts.npy', b'\x93NUMPY\x01\x00'),
    'one array without a name': _npy(np.zeros((60, 4))),
    'no arrays': npz(),
    'wrong keys': npz(counts=np.zeros((60, 4))),
    'counts and traces': _spikes(traces=np.zeros((60, 4))),
    'no bin_width': _spikes(bin_width=None),
    'bin_width 0': _spikes(bin_width=0),
    'bin_width NaN': _spikes(bin_width=np.nan),
    'bin_width 1e-300': _spikes(bin_width=1e-300),
    'bin_width 1e300': _spikes(bin_width=1e300),
    'bin_width text': _spikes(bin_width='wide'),
    'bin_width 10 times that of bin_times': _spikes(bin_width=0.4),
    'counts of one dimension': _spikes(spike_counts=np.zeros(60)),
    'counts of no neurons': _spikes(spike_counts=np.zeros((60, 0))),
    'negative counts': _spikes(spike_counts=np.full((60, 4), -1)),
    'counts NaN': _spikes(spike_counts=np.full((60, 4), np.nan)),
    'counts in halves': _spikes(spike_counts=np.full((60, 4), 0.5)),
    'counts as text': _spikes(spike_counts=np.full((60, 4), 'two')),
    'complex counts': _spikes(spike_counts=np.full((60, 4), 1j)),
    'huge counts': _spikes(spike_counts=np.full((60, 4), 1e300)),
    'silent neurons': _spikes(spike_counts=np.zeros((60, 4))),
    'dates as bin_times': _spikes(bin_times=np.zeros(60, 'datetime64[s]')),
    'too few bin_times': _spikes(bin_times=np.arange(59.0)),
    'unsorted bin_times': _spikes(bin_times=np.arange(60.0)[::-1]),
    'bin_times far away': _spikes(bin_times=1e9 + np.arange(60) / 25),
    'bin_times NaN': _spikes(bin_times=np.full(60, np.nan)),
    'frame_times NaN': _spikes(frame_times=np.full(60, np.nan)),
    'frame_times text': _spikes(frame_times=np.full(60, 'now')),
    'too few frame_times': _spikes(frame_times=np.arange(9) / 25),
    'falling frame_times': _spikes(frame_times=np.arange(60)[::-1] / 25),
    'names of other neurons': _spikes(names=np.array(['a'])),
    'two bins': _spikes(
        spike_counts=np.ones((2, 4)), bin_times=[0.02, 0.06], frame_times=np.arange(60) / 25
    ),
}


def _hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, 'w') as file:
        file['units'] = np.zeros(3)


def _empty_nwb(path: Path) -> None:
    import h5py

    with h5py.File(path, 'w') as file:
        file.attrs['nwb_version'] = '2.6.0'


NWB: dict[str, Writer] = {
    **{kind: writer for kind, writer in ANYWHERE.items() if kind != 'a folder'},
    'text': _text('this is no NWB'),
    'plain HDF5': _hdf5,
    'HDF5 that says it is NWB': _empty_nwb,
    'half a file': lambda path: (
        _hdf5(path),
        path.write_bytes(path.read_bytes()[:500]),
    ),
}


def alf(**arrays: object) -> Writer:
    """Return a writer of an ALF folder; names have `_` for the dots, None leaves one out."""
    good: dict[str, object] = {
        'spikes_times': np.sort(np.random.default_rng(0).uniform(0, 2.4, 400)),
        'spikes_clusters': np.arange(400) % 4,
    }

    def write(path: Path) -> None:
        path.mkdir()
        for name, value in {**good, **arrays}.items():
            file = path / (name.replace('_', '.') + '.npy')
            if isinstance(value, str):
                (path / 'clusters.table.csv').write_text(value, encoding='latin-1')
            elif value is not None:
                np.save(file, np.asarray(value))

    return write


ALF: dict[str, Writer] = {
    'no files': lambda path: path.mkdir(),
    'no clusters': alf(spikes_clusters=None),
    'lengths that differ': alf(spikes_clusters=np.zeros(9)),
    'no spikes': alf(spikes_times=np.zeros(0), spikes_clusters=np.zeros(0)),
    'NaN times': alf(spikes_times=np.full(400, np.nan)),
    'text as times': alf(spikes_times=np.full(400, 'now')),
    'clusters in halves': alf(spikes_clusters=np.full(400, 0.5)),
    'negative clusters': alf(spikes_clusters=np.full(400, -1)),
    'an empty cluster table': alf(clusters_table=''),
    'a latin-1 cluster table': alf(clusters_table='cluster_id,acronym\n0,Rég\n'),
    'a ragged cluster table': alf(clusters_table='cluster_id,acronym\n0,a\n1,b,c,d\n'),
    'a cluster twice': alf(clusters_table='cluster_id,acronym\n0,CA1\n0,VISp\n'),
    'regions of three dimensions': alf(clusters_acronym=np.full((2, 2, 2), 'CA1')),
}


def one_hot(
    header: str = ',background,still,walk,turn,groom',
    row: str = '{n},0,1,0,0,0',
    rows: int = 60,
    encoding: str = 'utf-8',
) -> Writer:
    """Return a writer of a table of labels.

    Args:
        header: first line.
        row: every other line; `{n}` is its number.
        rows: number of these lines.
        encoding: encoding of the file.
    """
    lines = [header, *(row.format(n=number) for number in range(rows))]
    return _text('\n'.join(lines) + '\n', encoding)


def named_class(name: str) -> Writer:
    """Return a writer of a table of labels that are good but for the name of a class."""
    quoted = '"' + name.replace('"', '""') + '"'

    def write(path: Path) -> None:
        halves = [f'{n},0,{int(n < 30)},{int(n >= 30)}' for n in range(60)]
        text = f',background,still,{quoted}\n' + '\n'.join(halves)
        path.write_bytes(text.encode(errors='surrogateescape'))

    return write


LABELS: dict[str, Writer] = {
    **ANYWHERE,
    **TEXTS,
    'a header alone': one_hot(rows=0),
    'a header of numbers': one_hot(header=',1,2,3,4,5'),
    'an empty header': one_hot(header=',,,,,'),
    'ragged rows': _text(',a,b\n0,1\n1,0,1,1,1\n'),
    'semicolons': one_hot(header=';a;b', row='{n};1;0'),
    'decimal commas': one_hot(header=';a;b', row='{n};1,0;0,0'),
    'text in numbers': one_hot(row='{n},0,yes,0,0,0'),
    'blanks in numbers': one_hot(row='{n},0,,0,0,0'),
    'NaN': one_hot(row='{n},nan,nan,nan,nan,nan'),
    'negative numbers': one_hot(row='{n},0,-1,0,0,0'),
    'huge numbers': one_hot(row='{n},0,1e400,0,0,0'),
    'halves': one_hot(row='{n},0,0.5,0.5,0,0'),
    'two behaviours at once': one_hot(row='{n},0,1,1,0,0'),
    'two columns of one name': one_hot(header=',background,still,still,turn,groom'),
    'one column': one_hot(header=',background', row='{n},1'),
    'no index': one_hot(header='background,still', row='0,1'),
    'too few rows': one_hot(rows=10),
    'too many rows': one_hot(rows=600),
    'an index twice': one_hot(row='7,0,1,0,0,0'),
    'an index with gaps': one_hot(row='{n}0,0,1,0,0,0'),
    'UTF-16 and good': one_hot(encoding='utf-16'),
    'BORIS without columns': _text('Behavior\ngroom\n'),
    'BORIS of another video': _text(
        'Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n'
        'other.mp4,m,groom,STATE,0,1\n'
    ),
    'BORIS with text as times': _text(
        'Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n'
        'session_01.mp4,m,groom,STATE,soon,later\n'
    ),
    'BORIS with NaN times': _text(
        'Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n'
        'session_01.mp4,m,groom,STATE,nan,nan\n'
    ),
    'BORIS that stops before it starts': _text(
        'Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n'
        'session_01.mp4,m,groom,STATE,2,1\n'
    ),
    'BORIS longer than the video': _text(
        'Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n'
        'session_01.mp4,m,groom,STATE,1,1e9\n'
    ),
    'BORIS with two columns of one name': _text(
        'Media file name,Behavior,Behavior,Behavior type,Start (s),Stop (s)\n'
        'session_01.mp4,m,groom,STATE,0,1\n'
    ),
}

# names of classes, videos, backbones and folders, for pages, figures and file names
NAMES = {
    'HTML': '<b>bold<script>alert(1)</script>'.replace('/', '\N{DIVISION SLASH}'),
    'mathematics': '$\\frac$',
    'half a formula': 'cost in $ and $^',
    'dots': '..',
    'a leading dash': '-rf',
    'a newline': 'one\ntwo',
    'a tab': 'one\ttwo',
    'emoji': 'mouse 🐁',
    'right to left': 'עכבר',
    'quotes': 'it\'s "it"',
    'braces': '{name} %s %(x)d',
    'an escape': 'red \x1b[31m',
    'commas and =': 'a=b,c',
    'blanks at the ends': ' mouse ',
    'a wildcard': '*[!a]?',
    'not UTF-8': 'caf\udce9',
    '200 letters': 'm' * 200,
}


def keypoint_table(
    scorers: int = 1,
    coords: str = 'x,y,likelihood',
    row: str = '{n},1.0,2.0,0.9',
    rows: int = 60,
    separator: str = ',',
    encoding: str = 'utf-8',
) -> Writer:
    """Return a writer of a table of one keypoint in the host's layout.

    Args:
        scorers: 2 for columns of two scorers.
        coords: names of the columns.
        row: every line of numbers; `{n}` is its number.
        rows: number of these lines.
        separator: separator of the columns.
        encoding: encoding of the file.
    """
    columns = coords.split(',')
    names = [f'scorer{scorer}' for scorer in range(scorers) for _ in columns]
    head = [
        ','.join(['scorer', *names]),
        ','.join(['bodyparts', *(['nose'] * len(names))]),
        ','.join(['coords', *(columns * scorers)]),
    ]
    if scorers > 1:
        row = ','.join([row, *row.split(',')[1:]])
    lines = [*head, *(row.format(n=number) for number in range(rows))]
    return _text('\n'.join(lines).replace(',', separator) + '\n', encoding)


KEYPOINTS: dict[str, Writer] = {
    **ANYWHERE,
    **TEXTS,
    'a header alone': keypoint_table(rows=0),
    'one line of header': _text(',x,y\n0,1,2\n'),
    'semicolons': keypoint_table(separator=';'),
    'tabs': keypoint_table(separator='\t'),
    'text in numbers': keypoint_table(row='{n},left,2.0,0.9'),
    'NaN': keypoint_table(row='{n},nan,nan,nan'),
    'infinite numbers': keypoint_table(row='{n},inf,2.0,0.9'),
    'huge numbers': keypoint_table(row='{n},1e308,-1e308,0.9'),
    'ragged rows': keypoint_table(row='{n},1.0,2.0,0.9,5,5,5'),
    'rows too short': keypoint_table(row='{n},1.0'),
    'no y': keypoint_table(coords='x,likelihood', row='{n},1.0,0.9'),
    'two scorers': keypoint_table(scorers=2),
    'an index twice': keypoint_table(row='7,1.0,2.0,0.9'),
    'a negative index': keypoint_table(row='-{n},1.0,2.0,0.9'),
    'an index of text': keypoint_table(row='frame{n},1.0,2.0,0.9'),
    'an index beyond all numbers': keypoint_table(row='1e30,1.0,2.0,0.9'),
    'too few rows': keypoint_table(rows=5),
    'too many rows': keypoint_table(rows=900),
    'UTF-16 and good': keypoint_table(encoding='utf-16'),
}

_ALIASES = 'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{b}: &{b} [{", ".join([f"*{a}"] * 10)}]\n'
    for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
)

CONFIGS: dict[str, Writer] = {
    **ANYWHERE,
    'cp1252': _text('data: {data_dir: /tmp/Käfig}\n', 'cp1252'),
    'UTF-16': _text('data: {data_dir: /tmp}\n', 'utf-16'),
    'NUL bytes': _bytes(b'data: \0\n'),
    'control bytes': _bytes(b'data: \x01\x02\n'),
    'a word': _text('config'),
    'a number': _text('7\n'),
    'a list': _text('- 1\n- 2\n'),
    'tabs': _text('data:\n\tdata_dir: /tmp\n'),
    'an open bracket': _text('data: [1, 2\n'),
    'a key twice': _text('data: {}\ndata: {}\n'),
    'an unknown tag': _text('data: !lab {}\n'),
    'a Python object': _text('data: !!python/object/apply:pathlib.Path.touch [code-ran]\n'),
    'an alias bomb': _text(_ALIASES),
    'an alias of itself': _text('data: &a [*a]\n'),
    'an interpolation of itself': _text('data: {data_dir: "${data.data_dir}"}\n'),
    'an unknown resolver': _text('data: {data_dir: "${what:1}"}\n'),
    'an unknown environment': _text('data: {data_dir: "${oc.env:NO_SUCH_VARIABLE}"}\n'),
    '10,000 levels': _text('data: ' + '[' * 10_000 + ']' * 10_000),
    'two documents': _text('data: {}\n---\ndata: {}\n'),
    'numbers as keys': _text('1: 2\n3.5: {4: 5}\n'),
    'dates as keys': _text('2024-05-01: {a: 1}\n'),
    'data as a word': _text('data: mouse\n'),
    'data as a list': _text('data: [1]\n'),
    'beast as a word': _text('data: {data_dir: /tmp}\nbeast: laptop\n'),
    'beast as a list': _text('data: {data_dir: /tmp}\nbeast: [laptop]\n'),
    'groups as words': _text('beast: {training: fast, segmentation: good, encoding: 3}\n'),
    'an unknown preset': _text('beast: {preset: lapdog}\n'),
    'a misspelt key': _text('beast: {trainin: {}}\n'),
    'a key of numbers': _text('beast: {1: 2}\n'),
    'a NUL in a path': _text('data: {data_dir: "/tmp/a\\0b", video_dir: "v\\0"}\n'),
    'numbers as paths': _text('data: {data_dir: 7, video_dir: 8}\n'),
    'a mapping as a path': _text('data: {data_dir: {a: 1}, video_dir: {b: 2}}\n'),
    'a Hydra defaults list': _text('defaults: [nowhere]\ndata: {}\n'),
}


def damage(path: Path, kind: str) -> None:
    """Damage one of our own files.

    Args:
        path: the file.
        kind: one of `DAMAGES`.
    """
    DAMAGES[kind](path)


def _replaced(writer: Writer) -> Writer:
    def write(path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        writer(path)

    return write


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content), max(1, len(content) // 9)):
        content[at] ^= 0xFF
    path.write_bytes(content)


DAMAGES: dict[str, Writer] = {
    'deleted': _replaced(lambda path: None),
    'empty': _replaced(_text('')),
    'cut in half': _cut,
    'garbage': _replaced(_garbage),
    'bytes flipped': _flipped,
    'a folder': _replaced(lambda path: path.mkdir()),
    'a link loop': _replaced(_loop),
    'the JSON list []': _replaced(_text('[]')),
    'the JSON text {}': _replaced(_text('{}')),
    'a pickle that writes a file': _replaced(_torch_pickled),
}
