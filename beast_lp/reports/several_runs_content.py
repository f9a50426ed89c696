"""What the page of several pretraining runs is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

# settings that make two runs of one kind, and no more than that
SEED = 'beast.seed'


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        name: short name that no other run of the page has.
        settings: resolved settings under `beast`, and the videos.
        metrics: one row per epoch, at least one.
        epochs: epochs that the run was to have.
        warnings: warnings of its log.
        report: path of its own report relative to the page; empty where it has none.
        reconstructed: pictures in [0, 1] of the frames that all runs of the page are shown; None
            where it has no checkpoint or no decoder.
        retrieval: by what whole frames are compared, in words → share of positives found, on the
            pairs that all runs of the page are shown; empty where it has no checkpoint.
    """

    name: str
    settings: Mapping[str, Any]
    metrics: pd.DataFrame
    epochs: int
    warnings: Sequence[str] = ()
    report: str = ''
    reconstructed: Float[np.ndarray, 'examples 3 height width'] | None = None
    retrieval: Mapping[str, float] | None = None

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        done = len(self.metrics)
        return 'finished' if done >= self.epochs else f'epoch {done} of {self.epochs}'


@dataclass(frozen=True)
class SeveralRuns:
    """All runs of a page.

    Attributes:
        runs: two or more.
        originals: pictures in [0, 1] that every model reconstructs; None where the frames of no
            run are there any more.
        pairs: number of pairs among which positives were sought.
        shown_from: name of the run that held those frames out.
    """

    runs: Sequence[ComparedRun]
    originals: Float[np.ndarray, 'examples 3 height width'] | None = None
    pairs: int = 0
    shown_from: str = ''
