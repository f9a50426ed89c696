"""All encoders behind one interface: what they learn, and what they must not see."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from beast_lp.config import encoding as schema
from beast_lp.config import parse_config
from beast_lp.config.retired import RETIRED
from beast_lp.encoding import controls, ridge, rrr, tcn, trial_rrr
from beast_lp.encoding.build import ENCODERS, build_encoder
from beast_lp.encoding.encoder import Encoder, Options, Reader, Target
from beast_lp.encoding.metrics import bits_per_spike, variance_explained
from beast_lp.encoding.ridge import Ridge
from beast_lp.encoding.rrr import PoissonReducedRank, ReducedRank
from beast_lp.encoding.samples import Samples, smooth
from beast_lp.encoding.tcn import Network, Tcn, gabor_filters
from beast_lp.encoding.trial_rrr import TrialReducedRank, loss, predict_trials, start, trial_length
from beast_lp.errors import BeastError

OPTIONS = Options(lags=0, smoothing=0.0)
BUILD: dict[str, Callable[[], Encoder]] = {
    'ridge': lambda: Ridge(OPTIONS, [0.01, 0.1]),
    'rrr': lambda: ReducedRank(OPTIONS, [0.01, 0.1], [2, 4]),
    'poisson_rrr': lambda: PoissonReducedRank(OPTIONS, [0.3, 0.03], 4),
    'trial_rrr': lambda: TrialReducedRank(OPTIONS, 3, 10.0, [0.3, 0.1]),
    'tcn': lambda: Tcn(OPTIONS, [1e-2], 25, 5),
}


def _parts(trials: int = 60, bins: int = 20) -> tuple[list[Samples], np.ndarray]:
    """Return training, validation and test samples of trials, and the true test rates."""
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(trials), bins)
    x = smooth(rng.normal(size=(trials * bins, 5)), run, 2.0)
    x /= x.std(axis=0)
    rates = np.exp(x[:, :2] @ rng.normal(0, 0.6, (2, 9)))
    samples = Samples(x, rng.poisson(rates).astype(float), run)
    trial = samples.run
    masks = [
        trial < trials * 0.6,
        (trial >= trials * 0.6) & (trial < trials * 0.8),
        trial >= trials * 0.8,
    ]
    return [samples.part(mask) for mask in masks], rates[masks[2]]


def test_every_choice_of_the_schema_has_a_builder() -> None:
    assert ENCODERS.keys() == schema.ENCODERS.keys() == BUILD.keys()
    config = parse_config({'encoding': {'lags': 2, 'smoothing_bins': 3.0}}).encoding
    for name in ENCODERS:
        encoder = build_encoder(name, config, is_counts=False, seed=4)
        assert type(encoder) is type(BUILD[name]())
        options = encoder.options
        assert (options.is_counts, options.lags, options.smoothing) == (False, 2, 3.0)
        assert options.seed == 4


@pytest.mark.parametrize(
    ('setting', 'used'),
    [
        ('linear.penalties', ridge.PENALTIES),
        ('linear.ranks', rrr.RANKS),
        ('linear.poisson_penalties', rrr.POISSON_PENALTIES),
        ('linear.poisson_rank', rrr.POISSON_RANK),
        ('trial_rrr.rank', trial_rrr.RANK),
        ('trial_rrr.l2', trial_rrr.L2),
        ('trial_rrr.learning_rates', trial_rrr.LEARNING_RATES),
        ('tcn.learning_rates', tcn.LEARNING_RATES),
        ('tcn.epochs', tcn.EPOCHS),
        ('tcn.kernel', tcn.KERNEL),
        ('controls.least_shift_s', controls.LEAST_SHIFT_S),
        ('controls.drift_s', controls.DRIFT_S),
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
def test_every_encoder_learns_and_refits_to_the_same(name: str) -> None:
    (train, validation, test), truth = _parts()
    encoder = BUILD[name]()
    encoder.fit(train, validation)
    rates = encoder.predict(test.features, test.run)
    assert rates.shape == test.responses.shape
    assert (rates > 0).all()
    ceiling = bits_per_spike(test.responses, truth).pooled
    assert 0.4 * ceiling < bits_per_spike(test.responses, rates).pooled < ceiling
    assert encoder.chosen
    encoder.refit(train)
    # not bit by bit: the Poisson form starts from another first guess
    again = encoder.predict(test.features, test.run)
    assert np.corrcoef(again.ravel(), rates.ravel())[0, 1] > 0.99


def test_the_poisson_form_finds_a_weak_signal_below_penalties_that_leave_nothing() -> None:
    # 20 ms bins and 6 Hz, as cortex is recorded: every neuron fires in one bin of eight
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(20), 500)
    x = smooth(rng.normal(size=(10000, 64)), run, 3.0)
    x /= x.std(axis=0)
    weights = rng.normal(size=(64, 4)) @ rng.normal(size=(4, 20)) / 26
    rates = 0.12 * np.exp(x @ weights)
    every = Samples(x, rng.poisson(rates).astype(float), run)
    train, validation, test = (every.part(mask) for mask in (run < 14, run // 2 == 7, run > 15))
    penalties = rrr.POISSON_PENALTIES
    encoder = PoissonReducedRank(Options(), [10.0, *penalties])
    encoder.fit(train, validation)
    ceiling = bits_per_spike(test.responses, rates[run > 15]).pooled
    assert ceiling < 0.3
    found = bits_per_spike(test.responses, encoder.predict(test.features, test.run)).pooled
    scores = []
    # the three largest leave a constant rate, which says nothing about the smaller ones
    for penalty in [10.0, *penalties]:
        encoder.chosen['penalty'] = penalty
        encoder.refit(train)
        predicted = encoder.predict(test.features, test.run)
        assert (predicted.std(axis=0).max() > 1e-3) == (penalty < 1)
        scores.append(bits_per_spike(test.responses, predicted).pooled)
    assert found > 0.4 * ceiling
    assert found > max(scores) - 0.02


@pytest.mark.parametrize('name', BUILD)
def test_scales_come_from_the_training_part_alone(name: str) -> None:
    (train, validation, test), _ = _parts(30)
    encoder = BUILD[name]()
    encoder.fit(train, validation)
    whole = encoder.predict(test.features, test.run)
    # what else is predicted does not change a trial's prediction
    one = test.run == test.run[0]
    np.testing.assert_allclose(
        encoder.predict(test.features[one], test.run[one]), whole[one], rtol=1e-4
    )


def test_the_tcn_beats_ridge_on_a_nonlinear_map() -> None:
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(60), 100)
    x = smooth(rng.normal(size=(6000, 3)), run, 4.0)
    x /= x.std(axis=0)
    y = np.stack([np.abs(x[:, 0]), x[:, 1] ** 2 - 1, np.maximum(x[:, 2], 0)], axis=1)
    y = y + 0.2 * rng.normal(size=y.shape)
    parts = [
        Samples(x, y, run).part((run >= a) & (run < b)) for a, b in ((0, 42), (42, 48), (48, 60))
    ]
    scores = {}
    options = Options(is_counts=False, lags=3)
    for encoder in (Ridge(options, [0.001, 0.1]), Tcn(options, [1e-2], 12, 11)):
        encoder.fit(parts[0], parts[1])
        predicted = encoder.predict(parts[2].features, parts[2].run)
        scores[type(encoder)] = variance_explained(parts[2].responses, predicted).mean()
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
    every = Samples(x.reshape(-1, 3), y.reshape(-1, 4), run)
    parts = [every.part((run >= a) & (run < b)) for a, b in ((0, 56), (56, 64), (64, 80))]
    options = Options(is_counts=False, lags=0)
    scores = []
    for encoder in (Ridge(options, [0.01, 1.0]), TrialReducedRank(options, 3, 1.0, [0.3, 0.1])):
        encoder.fit(parts[0], parts[1])
        predicted = encoder.predict(parts[2].features, parts[2].run)
        scores.append(variance_explained(parts[2].responses, predicted).mean())
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


def test_lags_and_floor() -> None:
    (train, validation, _), _ = _parts(30)
    reader = Reader.fit(train.features, 1)
    inputs = reader(train.features, train.run)
    size = train.features.shape[1]
    assert inputs.shape == (len(train), 3 * size)
    np.testing.assert_allclose(inputs[:, size : 2 * size].std(axis=0), 1, rtol=1e-6)
    target, scaled = Target.fit(train, OPTIONS)
    np.testing.assert_allclose(target.undo(scaled, 0.0), np.maximum(train.responses, 1e-9))
    floored = target.undo(scaled - 100, 0.2)
    np.testing.assert_allclose(floored, np.tile(0.2 * target.mean, (len(train), 1)))
    assert target.best_floor(np.full_like(validation.responses, -100), validation) == 0.4


@pytest.mark.gpu
@pytest.mark.parametrize('name', ['poisson_rrr', 'trial_rrr', 'tcn'])
def test_a_gpu_gives_the_same(name: str) -> None:
    (train, validation, test), _ = _parts()
    predictions = []
    for device in ('cpu', 'cuda'):
        encoder = BUILD[name]()
        encoder.options = Options(lags=0, smoothing=0.0, device=torch.device(device))
        encoder.fit(train, validation)
        predictions.append(encoder.predict(test.features, test.run))
    if name == 'tcn':
        # a millionth of noise, as of another order of summation, leads it to other weights, whose
        # predictions differ by four times and whose score by a few hundredths of its own
        scores = [bits_per_spike(test.responses, one).pooled for one in predictions]
        assert abs(scores[0] - scores[1]) < 0.02
    else:
        np.testing.assert_allclose(*predictions, rtol=0.1)
