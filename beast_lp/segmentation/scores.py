"""The tables of an evaluation, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from beast_lp.segmentation.labelling import EXCLUSIVE, Labelling


@dataclass(frozen=True)
class Scores:
    """The tables of an evaluation.

    Attributes:
        summary: one row per floor, one per model, their mean and standard deviation, and one row
            for the ensemble: `macro_f1`, `accuracy` (share of frames whose label, or whole set of
            them, is right), `bout_f1` (at 50 % overlap), `calibration_error`, switches and
            lengths of bouts (of the set), `frames`. Both averages are over the behaviours that
            have scored frames.
        videos: one row per video: `frames` (scored), macro-F1 of each floor, of the models on
            average with its standard deviation, and of the ensemble, whose `bout_f1` follows.
        classes: scores of the ensemble by frames and by bouts, one row per class.
        confusion: counts of frames in which the class of the row was scored and that of the
            column predicted.
        calibration: accuracy of the ensemble by confidence, one row per bin.
        labelling: whether a frame has one class or any number of them.
    """

    summary: pd.DataFrame
    videos: pd.DataFrame
    classes: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame
    labelling: Labelling = EXCLUSIVE

    @property
    def confusion_normalised(self) -> pd.DataFrame:
        """Return the confusion as shares of the scored frames of each class."""
        scored = self.classes.set_index('class')['frames']
        return self.confusion.div(scored.clip(lower=1), axis=0)

    @property
    def hits(self) -> pd.DataFrame:
        """Return the frames of each class in which it was shown or not, and predicted or not."""
        right = np.diag(self.confusion.to_numpy())
        wrong = self.classes['predicted'].to_numpy() - right
        missed = self.classes['frames'].to_numpy() - right
        return pd.DataFrame(
            {
                'class': self.classes['class'],
                'true_positives': right,
                'false_positives': wrong,
                'false_negatives': missed,
                'true_negatives': int(self.summary['frames'].iloc[-1]) - right - wrong - missed,
            }
        )

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Return all tables by the stems of their files."""
        # beside other classes, a matrix does not tell which frames were missed
        several = {'hits': self.hits} if self.labelling.allows_several else {}
        return several | {
            'scores': self.summary,
            'videos': self.videos,
            'classes': self.classes,
            'confusion': self.confusion.rename_axis('scored').reset_index(),
            'confusion_normalised': self.confusion_normalised.rename_axis('scored').reset_index(),
            'calibration': self.calibration,
        }
