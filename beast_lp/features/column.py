"""Arrays of a feature store as files that grow row by row."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from beast_lp.features.info import ARRAYS


class Column:
    """A growing `.npy` file, whose header gets the number of rows at the end."""

    def __init__(self, path: Path, kind: str, shape: tuple[int, ...], rows: int) -> None:
        """Open the file.

        Args:
            path: file to write.
            kind: type of the values, as numpy writes it.
            shape: shape of a row.
            rows: rows of the file that are kept; 0 to begin it anew.
        """
        self._kind, self._shape, self._path = kind, shape, path
        self._row_bytes = int(np.prod(shape)) * np.dtype(kind).itemsize
        self._header_bytes = len(header_of(kind, shape, 0))
        self._rows = rows
        self._file: BinaryIO = path.open('r+b' if rows else 'w+b')
        if rows:
            self._file.truncate(self._header_bytes + rows * self._row_bytes)
            self._file.seek(0, os.SEEK_END)
        else:
            self._file.write(header_of(kind, shape, 0))

    def cast(self, array: np.ndarray) -> np.ndarray:
        """Return rows as they are stored.

        Raises:
            ValueError: if a row has another shape.
        """
        if array.shape[1:] != self._shape:
            raise ValueError(
                f'{self._path.name}: expected rows of the shape {self._shape}, '
                f'found {array.shape[1:]}'
            )
        return np.ascontiguousarray(array, self._kind)

    def append(self, array: np.ndarray) -> None:
        """Write rows that `cast` returned."""
        self._file.write(array.data)
        self._rows += len(array)

    def restart(self) -> None:
        """Delete all rows."""
        self._file.seek(self._header_bytes)
        self._file.truncate()
        self._rows = 0

    def chunks(self, rows: int = 1 << 16) -> Iterator[np.ndarray]:
        """Yield the rows in chunks."""
        for start in range(0, self._rows, rows):
            yield np.fromfile(
                self._path,
                self._kind,
                min(rows, self._rows - start),
                offset=self._header_bytes + start * self._row_bytes,
            )

    def flush(self) -> None:
        """Wait until the disk has all rows."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write the number of rows into the header."""
        self._file.seek(0)
        self._file.write(header_of(self._kind, self._shape, self._rows))
        self.flush()
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def row_bytes(name: str, shape: tuple[int, ...]) -> int:
    """Return the bytes of a row of an array of a store."""
    return int(np.prod(shape)) * np.dtype(ARRAYS[name][0]).itemsize


def header_of(kind: str, shape: tuple[int, ...], rows: int) -> bytes:
    """Return the header of a `.npy` file, whose length does not depend on the number of rows.

    numpy leaves room in every header for the first axis to grow.
    """
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {'descr': kind, 'fortran_order': False, 'shape': (rows, *shape)}
    )
    return buffer.getvalue()
