"""How often the verdict of the encoding stage is wrong on sessions that are simulated.

    python integration_tests/quality/calibration.py --sessions 1000

Neurons drift and fluctuate by themselves. Of features without any relation to them (noise, drift,
random walks) 5 % may be called evidence by chance, those that are nothing but cosines of time
fewer, since drift already has them. Features that add 0.01 bits per spike to drift must be found.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding.bins import Bins
from beast_lp.encoding.covariates import covariates, drift
from beast_lp.encoding.encoder import Options
from beast_lp.encoding.evaluate import evaluate
from beast_lp.encoding.pool import LEVEL, Result, significance
from beast_lp.encoding.reduce import to_one_scale
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.samples import smooth
from beast_lp.encoding.session import Session
from beast_lp.encoding.split import fold_blocks, keep_apart
from beast_lp.encoding.tables import comparison_table

BINS, WIDTH, NEURONS, FEATURES = 1200, 0.25, 5, 4
# neurons of a session with weak features
MANY_NEURONS = 20
# bits per spike that the true features add, as the true rates have it
WEAK = 0.01


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(BINS, FEATURES))


def movement(rng: np.random.Generator) -> np.ndarray:
    """Return fluctuations of about a second, as of an animal."""
    return smooth(_noise(rng), np.zeros(BINS, int), 4.0) * 4


def _drift(rng: np.random.Generator) -> np.ndarray:
    """Return waves of any phase as slow as drift, half a period of at least a minute."""
    time = np.arange(BINS)[:, None] / BINS
    period, phase = rng.uniform(0.5, 2.5, FEATURES), rng.uniform(0, 1, FEATURES)
    return np.cos(2 * np.pi * (time * period + phase))


def _cosines(rng: np.random.Generator) -> np.ndarray:
    """Return cosines of the number of the bin, which the model of drift has, too."""
    return np.cos(np.pi * (np.arange(BINS)[:, None] + 0.5) / BINS * np.arange(1, FEATURES + 1))


def _walks(rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(_noise(rng), axis=0)


UNRELATED: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'noise': _noise,
    'movement of another animal': movement,
    'drift': _drift,
    'cosines of time': _cosines,
    'random walks': _walks,
}


def session_of(
    features: np.ndarray,
    gain: float,
    rng: np.random.Generator,
    neurons: int = NEURONS,
) -> Session:
    """Simulate neurons of 5 Hz that drift, fluctuate and, with a gain, follow features."""
    slow = drift(np.arange(BINS) * WIDTH, BINS) @ rng.normal(0, 0.3, (5, neurons))
    own = smooth(rng.normal(size=(BINS, neurons)), np.zeros(BINS, int), 6.0)
    weights = rng.normal(size=(features.shape[1], neurons))
    followed = features @ (weights / np.linalg.norm(weights, axis=0))
    rates = 5 * WIDTH * np.exp(slow + own + gain * (followed - followed.mean(axis=0)))
    times = (np.arange(BINS) + 0.5) * WIDTH
    bins = Bins(times, WIDTH, np.zeros(BINS, int))
    fold = fold_blocks(bins, 5, 10.0, int(rng.integers(2**31)))
    return Session(
        name='simulated',
        bins=bins,
        folds=keep_apart(bins, fold, 0.5),
        unit=np.arange(BINS) // round(10 / WIDTH),
        responses=rng.poisson(rates).astype(np.float32),
        is_counts=True,
        names=np.arange(neurons),
        regions=np.full(neurons, ''),
        features={'features': to_one_scale([features])},
        digests={},
        notes=(),
    )


def result_of(session: Session, shifts: int, seed: int) -> Result:
    """Evaluate a session as `litpose encode` does, by ridge regression."""
    config = EncodingConfig(lags=0)
    config.controls.shifts = shifts
    options = Options(smoothing=0.0, seed=seed)
    waves = drift(session.clock, len(np.unique(session.unit)))
    without = covariates(session.responses, session.bins.group, session.folds, waves, options)
    features = session.features['features']
    evaluation, _ = evaluate(session, features, Ridge(options), without, config, seed)
    return Result(session, 'features', 'ridge', evaluation, Path())


def verdicts(
    make: Callable[[np.random.Generator], np.ndarray],
    sessions: range,
    gain: float = 0.0,
    shifts: int = 19,
    neurons: int = NEURONS,
) -> pd.DataFrame:
    """Return a row per session: whether it is called evidence, and how many neurons.

    Args:
        make: function that draws features.
        sessions: numbers of the sessions, which seed their draws.
        gain: weight of the features in the neurons' log rates.
        shifts: circular shifts of each.
        neurons: neurons of each.
    """
    rows = []
    for seed in sessions:
        rng = np.random.default_rng(seed)
        features = make(rng)
        result = result_of(session_of(features, gain, rng, neurons), shifts, seed)
        row = comparison_table([result]).iloc[0]
        p, _ = significance(result)
        rows.append(
            {
                'evidence': row['verdict'] == 'evidence',
                'over_drift': row['over_drift'],
                'neurons': float((p <= LEVEL).mean()),
                'discoveries': float(row['significant'] > 0),
            }
        )
    return pd.DataFrame(rows)


def weak_gain() -> float:
    """Return the gain at which movement adds about `WEAK` bits per spike to drift.

    A log rate of variance v has about v / (2 ln 2) bits per spike (to second order).
    """
    return float(np.sqrt(2 * np.log(2) * WEAK) / movement(np.random.default_rng(0)).std())


def shares(table: pd.DataFrame) -> dict[str, float]:
    """Return the share of sessions with each verdict."""
    return {str(name): round(float(table[name].mean()), 4) for name in table}


def main() -> None:
    """Print the share of sessions that are called evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sessions', type=int, default=1000)
    parser.add_argument('--shifts', type=int, default=19)
    parser.add_argument(
        '--first',
        type=int,
        default=1000,
        help='number of the first session; the method was chosen on those below 1000',
    )
    arguments = parser.parse_args()
    sessions = range(arguments.first, arguments.first + arguments.sessions)
    for name, make in UNRELATED.items():
        table = verdicts(make, sessions, shifts=arguments.shifts)
        print(f'{name}: {shares(table)}', flush=True)
    table = verdicts(movement, sessions, weak_gain(), arguments.shifts, MANY_NEURONS)
    print(f'movement that adds {WEAK} bits: {shares(table)}')


if __name__ == '__main__':
    main()
