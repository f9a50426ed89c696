"""All encoders behind one interface: what they learn, and what they must not see."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from beast_lp.config import encoding as schema
from beast_lp.config import parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.encoding import controls, covariates, tcn, trial_rrr
from beast_lp.encoding.build import ENCODERS, build_encoder
from beast_lp.encoding.covariates import fold_target
from beast_lp.encoding.encoder import Encoder, Options, Task, best_floor, floored
from beast_lp.encoding.folded import FoldedEncoder, Target
from beast_lp.encoding.grid import PENALTIES, Grid
from beast_lp.encoding.metrics import bits_per_spike, variance_explained
from beast_lp.encoding.nested import Sums, constant
from beast_lp.encoding.poisson_rrr import PoissonReducedRank
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.rrr import ReducedRank
from beast_lp.encoding.samples import Samples, smooth
from beast_lp.encoding.split import Folds
from beast_lp.encoding.tcn import Network, Tcn, gabor_filters
from beast_lp.encoding.trial_rrr import TrialReducedRank, loss, predict_trials, start, trial_length
from beast_lp.errors import BeastError

OPTIONS = Options(smoothing=0.0)
BUILD: dict[str, Callable[[], Encoder]] = {
    'ridge': lambda: Ridge(OPTIONS),
    'rrr': lambda: ReducedRank(OPTIONS),
    'poisson_rrr': lambda: PoissonReducedRank(OPTIONS, rank=4),
    'trial_rrr': lambda: TrialReducedRank(OPTIONS, 3, 10.0, [0.3, 0.1]),
    'tcn': lambda: Tcn(OPTIONS, [1e-2], 25, 5),
}


def _task(
    x: np.ndarray,
    responses: np.ndarray,
    run: np.ndarray,
    options: Options = OPTIONS,
    folds: int = 3,
) -> Task:
    """Return a task whose runs are shared out among the folds, without covariates."""
    split = Folds(run % folds, np.ones(len(run), bool))
    given = constant(split, fold_target(responses, run, split, options))
    return Task(x.astype(np.float32), 1, responses, run, given, np.arange(len(run)))


def _simulated(trials: int = 60, bins: int = 20) -> tuple[Task, np.ndarray]:
    """Return trials of neurons that follow two of five features, and their true rates."""
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(trials), bins)
    x = smooth(rng.normal(size=(trials * bins, 5)), run, 2.0)
    x /= x.std(axis=0)
    rates = np.exp(x[:, :2] @ rng.normal(0, 0.6, (2, 9)))
    return _task(x, rng.poisson(rates).astype(float), run), rates


def test_every_choice_of_the_schema_has_a_builder() -> None:
    assert ENCODERS.keys() == schema.ENCODERS.keys() == BUILD.keys()
    config = parse_config({'encoding': {'lags': 2, 'smoothing_bins': 3.0}}).encoding
    for name in ENCODERS:
        encoder = build_encoder(name, config, is_counts=False, seed=4)
        assert type(encoder) is type(BUILD[name]())
        options = encoder.options
        assert (options.is_counts, options.smoothing) == (False, 3.0)
        assert options.seed == 4


@pytest.mark.parametrize(
    ('setting', 'used'),
    [
        ('trial_rrr.rank', trial_rrr.RANK),
        ('trial_rrr.l2', trial_rrr.L2),
        ('trial_rrr.learning_rates', trial_rrr.LEARNING_RATES),
        ('tcn.learning_rates', tcn.LEARNING_RATES),
        ('tcn.epochs', tcn.EPOCHS),
        ('tcn.kernel', tcn.KERNEL),
        ('controls.least_shift_s', controls.LEAST_SHIFT_S),
        ('controls.drift_s', covariates.DRIFT_S),
    ],
)
def test_retired_settings_have_the_values_that_the_code_uses(setting: str, used: object) -> None:
    expected = list(used) if isinstance(used, tuple) else used
    assert RETIRED[f'beast.encoding.{setting}'] == expected


@pytest.mark.parametrize(('block_s', 'gap_s'), [(10.0, 0.5), (2.0, 0.2)])
def test_an_old_config_with_the_values_in_use_still_opens(block_s: float, gap_s: float) -> None:
    split = {'block_s': block_s, 'gap_s': gap_s, 'test_every': None}
    config = parse_config({'encoding': {'split': split, 'tcn': {'kernel': 201}}})
    assert config == parse_config({'encoding': {'split': {'block_s': block_s}}})
    with pytest.raises(BeastError, match=r'split.gap_s is no longer a setting: .* found 1.5'):
        parse_config({'encoding': {'split': {**split, 'gap_s': 1.5}}})


@pytest.mark.parametrize('name', BUILD)
def test_every_encoder_predicts_each_fold_by_the_others(name: str) -> None:
    task, truth = _simulated()
    found = BUILD[name]().predict(task)
    assert found.rates.shape == task.responses.shape
    assert (found.rates > 0).all()
    ceiling = bits_per_spike(task.responses, truth).pooled
    assert 0.4 * ceiling < bits_per_spike(task.responses, found.rates).pooled < ceiling
    assert all(len(values) == 3 for values in found.chosen.values())
    # a fold's own responses do not matter to its prediction
    fold = task.given.folds.fold == 1
    changed = np.where(fold[:, None], task.responses[::-1], task.responses)
    other = _task(task.inputs, changed, task.run)
    again = BUILD[name]().predict(other).rates
    np.testing.assert_allclose(again[fold], found.rates[fold], rtol=1e-3)
    assert np.abs(again[~fold] - found.rates[~fold]).max() > 0.01


@pytest.mark.parametrize('name', BUILD)
def test_nothing_that_follows_from_covariates_counts_for_features(name: str) -> None:
    rng = np.random.default_rng(1)
    run = np.repeat(np.arange(90), 10)
    slow = np.cos(np.arange(900) / 900 * np.pi * np.arange(1, 4)[:, None]).T
    counts = rng.poisson(np.exp(slow @ rng.normal(0, 0.7, (3, 8)))).astype(float)
    folds = Folds(run % 3, np.ones(900, bool))
    found = covariates.covariates(counts, run, folds, slow, OPTIONS)
    drift = bits_per_spike(counts, found.drift_alone.rates).pooled
    assert drift > 0.2
    width = 3
    task = Task(slow.astype(np.float32), width, counts, run, found.drift, np.arange(900))
    both = bits_per_spike(counts, BUILD[name]().predict(task).rates).pooled
    # the others also learn a constant, or a time course in the trial, here from noise
    assert abs(both - drift) < (0.002 if name in ('ridge', 'rrr') else 0.03)


@pytest.mark.parametrize('name', ['ridge', 'rrr'])
def test_closed_forms_equal_fits_one_by_one(name: str) -> None:
    task, _ = _simulated()
    given, encoder = task.given, BUILD[name]()
    assert isinstance(encoder, Ridge | ReducedRank)
    grid = Grid(Sums.of(task.inputs, task.order, given), given, task.sizes)
    target = given.target.astype(float)
    fold = given.folds.fold
    for number in range(3):
        weights, chosen = encoder.choose(grid, number)
        for key, own in weights.items():
            train = ~np.isin(fold, key[1])
            x = task.inputs[train].astype(float)
            y = target[train] - target[train].mean(axis=0)
            x = x - x.mean(axis=0)
            if name == 'ridge':
                # of the neuron in the middle
                continue
            full = np.linalg.solve(
                x.T @ x / len(x) + chosen['penalty'] * np.eye(5), x.T @ y / len(x)
            )
            assert np.linalg.matrix_rank(own, tol=1e-4) == min(chosen['rank'], 5)
            if chosen['rank'] == 5:
                np.testing.assert_allclose(own, full, rtol=1e-3, atol=1e-5)
    # the error of each penalty is that of its predictions of two folds
    x, errors = task.inputs.astype(float), np.zeros((len(PENALTIES) + 1, 9))
    for pair in ((0, 1), (2, 0)):
        train, held_out = ~np.isin(fold, pair), fold == max(pair)
        mean = target[train].mean(axis=0)
        centred = x[train] - x[train].mean(axis=0)
        for at, penalty in enumerate((*PENALTIES, np.inf)):
            solved = np.linalg.solve(
                centred.T @ centred / train.sum() + min(penalty, 1e30) * np.eye(5),
                centred.T @ (target[train] - mean) / train.sum(),
            )
            left = target[held_out] - mean - (x[held_out] - x[train].mean(axis=0)) @ solved
            errors[at] += (left**2).sum(axis=0)
    np.testing.assert_allclose(grid.errors[0, 0], errors / errors[-1], rtol=1e-4)


def test_a_penalty_of_its_own_suits_each_neuron() -> None:
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(30), 20)
    x = rng.normal(size=(600, 20))
    y = x @ rng.normal(size=(20, 6)) + rng.normal(size=(600, 6))
    y[:, 3:] = rng.normal(size=(600, 3))
    task = _task(x, y, run, Options(is_counts=False))
    encoder = Ridge(Options(is_counts=False))
    explained = variance_explained(y, encoder.predict(task).rates)
    assert (explained[:3] > 0.9).all()
    assert (np.abs(explained[3:]) < 0.03).all()


def test_a_constant_is_left_where_nothing_is_to_be_found() -> None:
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(30), 20)
    task = _task(rng.normal(size=(600, 40)), rng.poisson(1.0, (600, 5)).astype(float), run)
    for name in ('ridge', 'rrr', 'poisson_rrr'):
        rates = BUILD[name]().predict(task).rates
        assert -0.02 < bits_per_spike(task.responses, rates).pooled < 0.01


def test_the_poisson_form_finds_a_weak_signal() -> None:
    # 20 ms bins and 6 Hz, as cortex is recorded: every neuron fires in one bin of eight
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(18), 500)
    x = smooth(rng.normal(size=(9000, 64)), run, 3.0)
    x /= x.std(axis=0)
    weights = rng.normal(size=(64, 4)) @ rng.normal(size=(4, 20)) / 26
    rates = 0.12 * np.exp(x @ weights)
    task = _task(x, rng.poisson(rates).astype(float), run, Options())
    encoder = PoissonReducedRank(Options())
    ceiling = bits_per_spike(task.responses, rates).pooled
    assert ceiling < 0.3
    found = encoder.predict(task)
    assert bits_per_spike(task.responses, found.rates).pooled > 0.4 * ceiling
    # neither end of the grid
    assert 0.007 < np.median(found.chosen['share']) < 0.5


def test_the_tcn_beats_ridge_on_a_nonlinear_map() -> None:
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(60), 100)
    x = smooth(rng.normal(size=(6000, 3)), run, 4.0)
    x /= x.std(axis=0)
    y = np.stack([np.abs(x[:, 0]), x[:, 1] ** 2 - 1, np.maximum(x[:, 2], 0)], axis=1)
    y = y + 0.2 * rng.normal(size=y.shape)
    options = Options(is_counts=False)
    task, scores = _task(x, y, run, options), {}
    for encoder in (Ridge(options), Tcn(options, [1e-2], 12, 11)):
        scores[type(encoder)] = variance_explained(y, encoder.predict(task).rates).mean()
    # a half-wave is half linear, the others are not linear at all
    assert scores[Ridge] < 0.35
    assert scores[Tcn] > scores[Ridge] + 0.3


def test_the_trial_form_equals_the_sums_that_define_it() -> None:
    rng = np.random.default_rng(0)
    trials, bins, inputs, neurons, rank = 3, 4, 5, 2, 2
    x = torch.tensor(rng.normal(size=(bins, trials, inputs)))
    y = torch.tensor(rng.normal(size=(bins, trials, neurons)))
    left = torch.tensor(rng.normal(size=(inputs, neurons, rank)))
    right = torch.tensor(rng.normal(size=(rank, bins)))
    bias = torch.tensor(rng.normal(size=(bins, 1, neurons)))
    got = predict_trials(x, left, right, bias)
    error = penalty = 0.0
    for t in range(bins):
        for n in range(neurons):
            for k in range(trials):
                value = float(bias[t, 0, n])
                for c in range(inputs):
                    beta = sum(float(left[c, n, r] * right[r, t]) for r in range(rank))
                    value += float(x[t, k, c]) * beta
                assert float(got[t, k, n]) == pytest.approx(value)
                error += (value - float(y[t, k, n])) ** 2
            for c in range(inputs):
                penalty += sum(float(left[c, n, r] * right[r, t]) for r in range(rank)) ** 2
    assert float(loss(x, y, left, right, bias, 7.0)) == pytest.approx(error + 7 * penalty)


def test_the_trial_form_starts_as_the_authors_do() -> None:
    left, right = start(40, 50, 60, 3, seed=0)
    for factor in (left, right):
        assert float(factor.std()) == pytest.approx(1 / np.sqrt(60 * 3), rel=0.15)


def test_the_trial_form_follows_weights_that_change_within_a_trial() -> None:
    rng = np.random.default_rng(0)
    bins, trials = 16, 80
    x = rng.normal(size=(trials, bins, 3))
    gain = np.sin(np.linspace(0, np.pi * 2, bins))[None, :, None]
    y = (x @ rng.normal(size=(3, 4))) * gain + 0.3 * rng.normal(size=(trials, bins, 4))
    run = np.repeat(np.arange(trials), bins)
    options = Options(is_counts=False)
    task, scores = _task(x.reshape(-1, 3), y.reshape(-1, 4), run, options), []
    for encoder in (Ridge(options), TrialReducedRank(options, 3, 1.0, [0.3, 0.1])):
        rates = encoder.predict(task).rates
        scores.append(variance_explained(task.responses, rates).mean())
    assert scores[0] < 0.2
    assert scores[1] > 0.6


def test_runs_of_different_length_are_no_trials() -> None:
    with pytest.raises(BeastError, match='found runs of 2 to 3 bins'):
        trial_length(np.array([0, 0, 1, 1, 1]))


def test_the_network_is_the_described_one() -> None:
    network = Network(7, 30, 201)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes == {
        'filters': (10, 201),
        'filter_bias': (10,),
        'mix.weight': (7, 7),
        'mix.bias': (7,),
        'read.weight': (50, 70),
        'read.bias': (50,),
        'hidden.weight': (256, 50),
        'hidden.bias': (256,),
        'out.weight': (30, 256),
        'out.bias': (30,),
    }
    x = torch.randn(15, 7)
    assert network(x).shape == (15, 30)
    filters = network.filters.detach().numpy()
    slow = sum(
        0.5 * (filters[f, i + 1] - filters[f, i]) ** 2 for f in range(10) for i in range(200)
    )
    assert network.roughness().item() == pytest.approx(slow, rel=1e-4)
    # one bank for all features: swapping two features swaps their filtered series
    np.testing.assert_allclose(gabor_filters(10, 201).norm(dim=1), np.ones(10), rtol=1e-5)


def test_the_target_is_what_the_base_leaves() -> None:
    task, _ = _simulated(30)
    base = np.tile(task.responses.mean(axis=0), (len(task.run), 1)) / 2
    samples = Samples(task.inputs, task.responses, task.run, base)
    target, scaled = Target.fit(samples, OPTIONS)
    np.testing.assert_allclose(scaled.std(axis=0), 1)
    np.testing.assert_allclose(
        target.undo(scaled, base, 0.0), np.maximum(task.responses, 1e-9), atol=1e-9
    )
    low = target.undo(scaled - 100, base, 0.2)
    np.testing.assert_allclose(low, np.tile(0.2 * target.mean, (len(task.run), 1)))
    assert target.best_floor(np.full_like(scaled, -100), samples) == 0.8


def test_the_floor_is_the_likeliest() -> None:
    counts = np.repeat([0.0, 2.0], 50)[:, None]
    mean = np.ones(1)
    assert floored(np.array([[-1.0], [0.5]]), mean, 0.1).tolist() == [[0.1], [0.5]]
    assert best_floor(np.where(counts > 0, 2.0, 0.0), counts, mean) == 0.01
    # spikes where none were expected
    assert best_floor(np.where(counts > 0, 0.0, 2.0), counts, mean) == 0.8


@pytest.mark.gpu
@pytest.mark.parametrize('name', ['poisson_rrr', 'trial_rrr', 'tcn'])
def test_a_gpu_gives_the_same(name: str) -> None:
    task, _ = _simulated()
    predictions = []
    for device in ('cpu', 'cuda'):
        encoder = BUILD[name]()
        assert isinstance(encoder, FoldedEncoder)
        encoder.options = Options(smoothing=0.0, device=torch.device(device))
        predictions.append(encoder.predict(task).rates)
    if name == 'tcn':
        # a millionth of noise, as of another order of summation, leads it to other weights, whose
        # predictions differ by four times and whose score by a few hundredths of its own
        scores = [bits_per_spike(task.responses, one).pooled for one in predictions]
        assert abs(scores[0] - scores[1]) < 0.02
    else:
        np.testing.assert_allclose(*predictions, rtol=0.1)
