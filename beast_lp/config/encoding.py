"""Schema of the encoding stage: how spikes are predicted from features."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from beast_lp.config.setting import Section, group, setting
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045

# each with its help; `beast_lp.encoding.build` has a builder for each
ENCODERS = {
    'ridge': 'ridge regression',
    'rrr': 'reduced-rank regression in closed form',
    'poisson_rrr': 'reduced-rank regression with a log link and the Poisson likelihood',
    'trial_rrr': "the paper's reduced-rank regression, for trials of one length",
    'tcn': 'the temporal convolutional network of the paper',
}
DEFAULT_ENCODERS = ('ridge', 'rrr')


_FILTER = re.compile(r'\s*([^<>=]+?)\s*(>=|=)\s*([^<>=]+?)\s*')


def split_filter(quality: str) -> tuple[str, str, str]:
    """Split a filter of units into the column, `=` or `>=`, and what stands behind it.

    Args:
        quality: `COLUMN=VALUE`, with several values `COLUMN=VALUE,VALUE`, or `COLUMN>=NUMBER`.

    Raises:
        BeastError: if it is none.

    Examples:
        >>> split_filter('label >= 1'), split_filter('group=good,mua')
        (('label', '>=', '1'), ('group', '=', 'good,mua'))
    """
    found = _FILTER.fullmatch(quality)
    if found is None or (found[2] == '>=' and number_of(found[3]) is None):
        raise BeastError(
            'beast.encoding.quality must be COLUMN=VALUE, such as ks2_label=good, or '
            f'COLUMN>=NUMBER, such as label>=1, found {quality}'
        )
    return found[1], found[2], found[3]


def number_of(text: str) -> float | None:
    """Return the number that a text is; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


@dataclass
class TrialConfig(Section):
    """Settings that cut a recording into trials."""

    path: ClassVar[str] = 'beast.encoding.trials'

    events: Optional[str] = setting(
        None,
        'seconds of the events on the clock of the spikes: .npy, .csv of one column, or a folder '
        'of <session>.npy or .csv; null: the recording is continuous',
    )
    window: list[float] = setting(
        [-0.5, 1.5], 'seconds before (negative) and after an event', low=-1e6, high=1e6
    )

    def __post_init__(self) -> None:
        """Check the window.

        Raises:
            BeastError: if it does not end after its start.
        """
        super().__post_init__()
        if len(self.window) != 2 or self.window[0] >= self.window[1]:
            raise BeastError(
                'beast.encoding.trials.window must be [start, end] in seconds with start before '
                f'end, found {list(self.window)}'
            )


@dataclass
class EncodingSplitConfig(Section):
    """Settings of the folds: whole trials, or blocks of time, each predicted once."""

    path: ClassVar[str] = 'beast.encoding.split'

    folds: int = setting(
        5,
        'folds of the trials or blocks; each is predicted by a model of the others, within which '
        'hyper-parameters are chosen. Fewer where there are fewer trials or blocks',
        low=3,
        high=100,
    )
    block_s: float = setting(
        10.0, 'seconds of a block of a continuous recording', positive=True, high=1e6
    )

    @property
    def gap_s(self) -> float:
        """Seconds on each side of a border between two folds that no model is fitted to.

        By default, lags (4 bins) and smoothing (4 sigma, 8 bins) reach 0.24 s together; 0.5 s
        covers them twice. A block shorter than 5 s gives a tenth of its length.
        """
        return min(0.5, self.block_s / 10)


@dataclass
class ControlConfig(Section):
    """Settings of what every score is compared with; each draw fits the encoder once more."""

    path: ClassVar[str] = 'beast.encoding.controls'

    shifts: int = setting(
        200,
        'circular shifts of the features (followed by their mirror image) against the spikes, by '
        'which p values are computed; encoders that are slow to fit take 19. 0: no verdict',
        low=0,
        high=10_000,
    )
    permutations: int = setting(
        0,
        'random exchanges of trials, or of blocks. They also destroy slow changes, so that they '
        'flatter slow features, and count for no verdict',
        low=0,
        high=10_000,
    )


@dataclass
class EncodingConfig(Section):
    """The `beast.encoding` section."""

    path: ClassVar[str] = 'beast.encoding'

    features: Any = setting(
        None,
        'what to compare: NAME=PATH or a list of them. A path is what `litpose embed` wrote (one '
        'store or the folder of them), keypoints of `litpose predict`, DeepLabCut or SLEAP (.csv, '
        '.h5, .slp, which make two rows: positions alone, and with velocities), a table (.npy, '
        '.csv, .tsv, .parquet, .h5) with a name for each column and a row for each time (in a '
        'column `time`, s on the clock of the spikes), frame or trial, or a folder of such files '
        'by session. NAME=PATH,PATH puts the features of several views side by side. `--features` '
        'takes precedence over it',
    )
    spikes: Any = setting(
        None,
        'SESSION=PATH or a list; a session is called like its video. `--spikes` takes precedence '
        'over it. PATH is a folder of ALF, phy or suite2p, .nwb, or .npz that holds spike_counts '
        'or traces (bins, neurons) and bin_width in s, and may hold bin_times (their centres, s), '
        "frame_times (of the video's frames, s on the same clock), names and regions (of the "
        'neurons). SESSION=PATH,PATH joins the probes of a session, as does the folder of a '
        'session with several in alf/',
    )
    quality: Optional[str] = setting(
        None,
        'units to keep, by a column of the recording: COLUMN=VALUE or COLUMN>=NUMBER, such as '
        'label>=1 (IBL), ks2_label=good, group=good (phy), quality=good (NWB); null: all',
    )
    camera_times: Optional[str] = setting(
        None,
        'seconds of every frame on the clock of the spikes: a .npy file, or for several sessions '
        'a folder of <session>.npy; null: `frame_times` beside the counts, else, with a warning, '
        'the times in the video file, which begin at 0',
    )
    clock_offset_s: float = setting(0.0, 'seconds added to the camera times', low=-1e10, high=1e10)
    encoders: Optional[list[str]] = setting(
        None,
        'encoders to fit, one or more of the following; null: ridge and rrr',
        choices=ENCODERS,
        filled=True,
    )
    tokens: str = setting(
        'cls',
        'features that are read from a feature store',
        choices={'cls': 'the CLS token', 'patches': 'the patch tokens'},
    )
    bin_ms: float = setting(
        20.0,
        'width of the bins of spike times in ms (paper: 17 to 20); counts have bins of their own',
        low=0.1,
        high=60_000,
    )
    max_gap_s: float = setting(
        0.1,
        'seconds; a bin between two frames further apart (frames were dropped) is left out',
        positive=True,
    )
    min_rate_hz: float = setting(
        2.0, 'Hz; slower neurons are left out (paper: 2), and silent ones always', low=0
    )
    smoothing_bins: float = setting(
        2.0,
        'bins; sigma of the Gaussian over the spikes that squared-error encoders aim at '
        '(authors: 2)',
        low=0,
        high=10_000,
    )
    history_bins: int = setting(
        0,
        "bins of each neuron's own past: history.csv then has what features add to a Poisson "
        'regression on that past and on slow drift (Truccolo et al. 2005). Past spikes carry '
        'movement too, so that this is the least that features tell; 0: none',
        low=0,
        high=1000,
    )
    lags: int = setting(
        4, 'bins before and after each that ridge, rrr and poisson_rrr see', low=0, high=1000
    )
    components: Optional[int] = setting(
        64,
        'leading principal components of the features at most; null: all. Their number (8, 16, '
        '32, 64 or all of them) is chosen within the folds. Their matrix may take 4 GiB: 23,170 '
        'features or bins, the fewer of the two',
        low=1,
        high=10_000,
    )
    trials: TrialConfig = group(TrialConfig, 'trials instead of a continuous recording')
    split: EncodingSplitConfig = group(
        EncodingSplitConfig, 'by whole trials, or blocks of time; never by frame'
    )
    controls: ControlConfig = group(
        ControlConfig, 'what every score is compared with; each draw fits the encoder once more'
    )

    def __post_init__(self) -> None:
        """Check the filter of units, and that the encoders suit the recording.

        Raises:
            BeastError: if the filter is none, or an encoder needs trials and there are none.
        """
        super().__post_init__()
        if self.quality is not None:
            split_filter(self.quality)
        if 'trial_rrr' in (self.encoders or ()) and not self.trials.events:
            raise BeastError(
                'the encoder trial_rrr needs trials of one length; set '
                'beast.encoding.trials.events, or use rrr for a continuous recording'
            )
