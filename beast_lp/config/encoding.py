"""Schema of the encoding stage: how spikes are predicted from features."""

from dataclasses import dataclass, field
from typing import Any, Optional

from beast_lp.config.checks import check_choice, check_positive, check_range
from beast_lp.errors import BeastError

# omegaconf's structured configs read these annotations, and it knows `Optional`, not `X | None`
# on every Python that the host supports.
# ruff: noqa: UP045

ENCODERS = ('ridge', 'rrr', 'poisson_rrr', 'trial_rrr', 'tcn')
DEFAULT_ENCODERS = ('ridge', 'rrr', 'poisson_rrr')


@dataclass
class TrialConfig:
    """Whether and how a recording is cut into trials."""

    # seconds of the events on the clock of the spikes: a .npy or one-column .csv file, or a folder
    # of <session>.npy or .csv; null: the recording is continuous
    events: Optional[str] = None
    # seconds before (negative) and after an event
    window: list[float] = field(default_factory=lambda: [-0.5, 1.5])

    def __post_init__(self) -> None:
        if len(self.window) != 2 or self.window[0] >= self.window[1]:
            raise BeastError(
                'beast.encoding.trials.window must be [start, end] in seconds with start before '
                f'end, found {list(self.window)}'
            )


@dataclass
class EncodingSplitConfig:
    """Which trials, or blocks of time, train, validate and test."""

    # share of the trials or blocks; the rest is the test part
    train: float = 0.7
    validation: float = 0.1
    # continuous recordings: seconds of a block
    block_s: float = 10.0
    # continuous recordings: seconds left out on each side of a border between two parts
    gap_s: float = 0.5
    # continuous recordings: k, to test on every k-th block; null draws the blocks by the seed
    test_every: Optional[int] = None

    def __post_init__(self) -> None:
        for name in ('train', 'validation'):
            check_range(f'beast.encoding.split.{name}', getattr(self, name), 0.01, 0.98)
        if self.train + self.validation >= 1:
            raise BeastError(
                'beast.encoding.split.train and split.validation leave nothing to test on, found '
                f'{self.train:g} + {self.validation:g}; their sum must be below 1'
            )
        check_positive('beast.encoding.split.block_s', self.block_s)
        check_range('beast.encoding.split.gap_s', self.gap_s, 0)
        if self.test_every is not None:
            check_range('beast.encoding.split.test_every', self.test_every, 2)


@dataclass
class LinearConfig:
    """Hyper-parameters of ridge and of RRR for continuous recordings; validation chooses."""

    # of the squared weights, per bin, for z-scored features
    penalties: list[float] = field(
        default_factory=lambda: [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
    )
    # of rrr
    ranks: list[int] = field(default_factory=lambda: [3, 6, 12, 24])
    # of poisson_rrr: of both factors, from the largest down
    poisson_penalties: list[float] = field(
        default_factory=lambda: [3.0, 1.0, 0.3, 0.1, 0.03, 0.01]
    )
    # of poisson_rrr: the largest rank; the penalty chooses among the lower ones
    poisson_rank: int = 12

    def __post_init__(self) -> None:
        for name in ('penalties', 'ranks', 'poisson_penalties'):
            check_list(f'beast.encoding.linear.{name}', getattr(self, name))
        check_range('beast.encoding.linear.poisson_rank', self.poisson_rank, 1)


@dataclass
class TrialRrrConfig:
    """RRR of fixed-length trials, as the authors run it."""

    rank: int = 3
    # of the squared weights, summed over all
    l2: float = 100.0
    # of L-BFGS; validation chooses
    learning_rates: list[float] = field(default_factory=lambda: [1.0, 0.3, 0.1])

    def __post_init__(self) -> None:
        check_range('beast.encoding.trial_rrr.rank', self.rank, 1)
        check_range('beast.encoding.trial_rrr.l2', self.l2, 0)
        check_list('beast.encoding.trial_rrr.learning_rates', self.learning_rates)


@dataclass
class TcnConfig:
    """The temporal convolutional network."""

    # of AdamW; validation chooses
    learning_rates: list[float] = field(default_factory=lambda: [1e-3])
    # passes over the training part; validation chooses one of them
    epochs: int = 100
    # bins that a temporal filter spans
    kernel: int = 201

    def __post_init__(self) -> None:
        check_list('beast.encoding.tcn.learning_rates', self.learning_rates)
        check_range('beast.encoding.tcn.epochs', self.epochs, 1)
        check_range('beast.encoding.tcn.kernel', self.kernel, 1)
        if self.kernel % 2 == 0:
            raise BeastError(
                f'beast.encoding.tcn.kernel must be odd, to have a middle, found {self.kernel}'
            )


@dataclass
class ControlConfig:
    """What every score is compared with; each draw fits the encoder once more."""

    # circular shifts of the responses against the features
    shifts: int = 20
    # seconds that a shift moves at least
    least_shift_s: float = 10.0
    # permutations of the trials (or blocks)
    permutations: int = 20
    # seconds: half a period of the fastest wave that the model of slow drift has
    drift_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ('shifts', 'permutations', 'least_shift_s'):
            check_range(f'beast.encoding.controls.{name}', getattr(self, name), 0)
        check_positive('beast.encoding.controls.drift_s', self.drift_s)


@dataclass
class EncodingConfig:
    """From features and spikes to scores."""

    # NAME=PATH or PATH, or a list: feature stores, folders of them, host predictions (.csv)
    features: Any = None
    # PATH or SESSION=PATH, or a list: .npz, .nwb, ALF folders; one session each
    spikes: Any = None
    # of each frame, seconds on the clock of the spikes: a .npy file, or a folder of <session>.npy;
    # null: those beside the counts, else the video's own
    camera_times: Optional[str] = None
    # added to the camera times
    clock_offset_s: float = 0.0
    # null: those of `DEFAULT_ENCODERS` that suit the responses
    encoders: Optional[list[str]] = None
    # which part of a feature store is read: cls | patches | both
    tokens: str = 'cls'
    # of spike times; counts come in their own bins
    bin_ms: float = 20.0
    # linear | nearest
    interpolation: str = 'linear'
    # a bin between frames further apart than this has no features
    max_gap_s: float = 0.1
    # slower neurons are left out
    min_rate_hz: float = 2.0
    # sigma in bins of the Gaussian that smooths what squared-error encoders aim at
    smoothing_bins: float = 2.0
    # bins before and after that the linear encoders see (the TCN has its filters)
    lags: int = 4
    # leading principal components kept of a network's features that have more; null keeps all
    components: Optional[int] = 64
    trials: TrialConfig = field(default_factory=TrialConfig)
    split: EncodingSplitConfig = field(default_factory=EncodingSplitConfig)
    linear: LinearConfig = field(default_factory=LinearConfig)
    trial_rrr: TrialRrrConfig = field(default_factory=TrialRrrConfig)
    tcn: TcnConfig = field(default_factory=TcnConfig)
    controls: ControlConfig = field(default_factory=ControlConfig)

    def __post_init__(self) -> None:
        given = self.encoders or ()
        if self.encoders is not None and not given:
            raise BeastError(
                f'beast.encoding.encoders is empty; name one or more of '
                f'{", ".join(ENCODERS)}, or leave it out'
            )
        for encoder in given:
            check_choice('beast.encoding.encoders', encoder, ENCODERS)
        if 'trial_rrr' in given and not self.trials.events:
            raise BeastError(
                'the encoder trial_rrr needs trials of one length; set '
                'beast.encoding.trials.events, or use rrr for a continuous recording'
            )
        check_choice('beast.encoding.tokens', self.tokens, ('cls', 'patches', 'both'))
        check_choice('beast.encoding.interpolation', self.interpolation, ('linear', 'nearest'))
        for name in ('bin_ms', 'max_gap_s'):
            check_positive(f'beast.encoding.{name}', getattr(self, name))
        for name in ('min_rate_hz', 'smoothing_bins', 'lags'):
            check_range(f'beast.encoding.{name}', getattr(self, name), 0)
        if self.components is not None:
            check_range('beast.encoding.components', self.components, 1)


def check_list(key: str, values: list[float] | list[int]) -> None:
    """Refuse an empty list of hyper-parameters, and any that is not above 0."""
    if not values:
        raise BeastError(f'{key} is empty; give at least one value')
    for value in values:
        check_positive(key, value)
