"""Bouts as Neurodata Without Borders, through the extension `ndx-ethogram` (extra `nwb`)."""

import uuid
from datetime import datetime, timezone
from pathlib import Path

from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.segmentation.outputs import Prediction

# stands where nobody gave the start of a session: no video is as old
UNKNOWN_START = datetime(1970, 1, 1, tzinfo=timezone.utc)


def check_nwb_packages() -> None:
    """Check that the packages for NWB files are installed, before hours of other work.

    Raises:
        BeastError: if one is missing.
    """
    try:
        import ndx_ethogram  # noqa: F401
        import pynwb  # noqa: F401
    except ImportError as error:
        raise BeastError(
            'NWB files need two more packages; run `pip install "beast-lp[nwb]"` (or: pip install '
            'pynwb ndx-ethogram)'
        ) from error


def write_nwb(prediction: Prediction, path: Path, began: datetime | None = None) -> None:
    """Write one NWB file with the bouts of a video, in seconds on the clock of the recording.

    A video file does not hold the time at which the recording began, and NWB demands one. Where
    it is not given, 1970-01-01 stands in its place, and the description of the session says so.

    Args:
        prediction: prediction of the video.
        path: `.nwb` file to write.
        began: start of the recording, at 0 s of its clock; without a zone, in that of the machine.

    Raises:
        BeastError: if a package is not installed.
    """
    check_nwb_packages()
    import h5py
    from ndx_ethogram import EthogramBouts
    from pynwb import NWBHDF5IO, NWBFile, ProcessingModule

    unknown = '; nobody gave the start of the session, and session_start_time is a placeholder'
    file = NWBFile(
        session_description=f'behaviour in {prediction.video.name}, predicted by beast-lp'
        + ('' if began else unknown),
        identifier=str(uuid.uuid4()),
        session_start_time=began.astimezone() if began else UNKNOWN_START,
    )
    several = prediction.labelling.allows_several
    how_many = 'any number of behaviours' if several else 'one behaviour'
    bouts = EthogramBouts(
        name='EthogramBouts',
        labeling_method='automated',
        source_software='beast-lp',
        description=f'{how_many} per frame, as bouts; seconds on the clock of the recording',
    )
    edges = prediction.edges
    for bout in prediction.bouts:
        bouts.add_row(
            start_time=edges[bout.start],
            stop_time=edges[bout.stop],
            label=prediction.classes[bout.label],
        )
    module = ProcessingModule(name='behavior', description='action segmentation')
    module.add(bouts)  # pyright: ignore
    file.add_processing_module(module)  # pyright: ignore
    path.parent.mkdir(parents=True, exist_ok=True)
    # in memory first: a file that HDF5 cannot write, as on a full disk, it cannot close either,
    # and Python ends with a crash
    with (
        h5py.File('bouts', 'w', driver='core', backing_store=False) as memory,
        NWBHDF5IO(file=memory, mode='w') as out,  # pyright: ignore
    ):
        out.write(file)  # pyright: ignore
        memory.flush()
        content = memory.id.get_file_image()
    with finished_file(path) as part:
        part.write_bytes(content)
