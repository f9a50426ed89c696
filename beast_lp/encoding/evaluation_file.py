"""The file of an evaluation: scores, controls, and all that figures of it need."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from beast_lp.encoding.evaluate import Evaluation, Scores
from beast_lp.encoding.session import Session
from beast_lp.errors import BeastError
from beast_lp.runs.files import finished_file
from beast_lp.runs.foreign import foreign_file

# of what is stored; scores that an older version computed are not mixed with those of this one
_LAYOUT = 2


def save_evaluation(
    path: Path,
    session: Session,
    source: str,
    evaluation: Evaluation,
    rates: Float[np.ndarray, 'bins neurons'],
) -> None:
    """Write an evaluation, and all that figures of it need, as a `.npz` file.

    Args:
        path: file to write.
        session: session that was predicted.
        source: name of the source of the features.
        evaluation: scores and controls.
        rates: predicted spikes per bin, or traces, of all bins.
    """
    scores = {
        f'score_{item.name}': getattr(evaluation.scores, item.name) for item in fields(Scores)
    }
    chosen = {f'chosen_{name}': values for name, values in evaluation.chosen.items()}
    with finished_file(path) as part, part.open('wb') as file:
        np.savez_compressed(
            file,
            layout=_LAYOUT,
            rates=rates,
            digest=session.digest(source),
            over_drift=evaluation.over_drift,
            shifts=evaluation.shifts,
            permutations=evaluation.permutations,
            bin_times=session.bins.times,
            bin_width=session.bins.width,
            trial=session.bins.group,
            fold=session.folds.fold,
            names=session.names,
            **chosen,
            **scores,
        )


def check_same_data(path: Path, session: Session, source: str) -> None:
    """Check that an evaluation on disk, if there is one, belongs to the present data.

    Args:
        path: file of the evaluation, which need not exist.
        session: session as it was just read.
        source: name of the source of the features.

    Raises:
        BeastError: if spikes, times or features have changed since it was written.
    """
    if not path.exists():
        return
    with _opened(path) as data:
        known = {'digest', 'layout'} <= set(data.files) and data['layout'].item() == _LAYOUT
        if known and data['digest'].item() == session.digest(source):
            return
    raise BeastError(
        f'{path} was computed from other spikes, times or features, which have changed since '
        'under the same names; restore them to resume the run, or give another --output_dir'
        if known
        else f'{path} was written by an older beast-lp, whose scores were computed in another '
        'way; give another --output_dir'
    )


def load_evaluation(path: Path) -> Evaluation:
    """Read an evaluation that `save_evaluation` wrote, without the rates."""
    with _opened(path) as data:
        values: dict[str, Any] = {name: data[name] for name in data.files if name != 'rates'}
        return Evaluation(
            Scores(**{item.name: values[f'score_{item.name}'] for item in fields(Scores)}),
            values['over_drift'],
            values['shifts'],
            values['permutations'],
            {
                name.removeprefix('chosen_'): value
                for name, value in values.items()
                if name.startswith('chosen_')
            },
        )


def load_rates(path: Path) -> Float[np.ndarray, 'bins neurons']:
    """Read the rates that `save_evaluation` wrote."""
    with _opened(path) as data:
        return data['rates']


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file that `save_evaluation` wrote; what is wrong with it becomes a sentence."""
    advice = 'delete it and run the same command again, which computes it anew'
    with foreign_file(path, advice, 'rates'), np.load(path, allow_pickle=False) as data:
        yield data
