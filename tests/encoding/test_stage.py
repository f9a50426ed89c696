"""The stage on files: scores, tables, resuming, and input that cannot be used."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beast_lp.config import BeastConfig, parse_config
from beast_lp.config.encoding import EncodingConfig
from beast_lp.encoding import align, reduce, stage
from beast_lp.encoding.align import row_width
from beast_lp.encoding.bins import Bins
from beast_lp.encoding.build import choose_encoders
from beast_lp.encoding.metrics import bits_per_spike
from beast_lp.encoding.number_files import read_numbers
from beast_lp.encoding.run_files import EncodingFiles
from beast_lp.encoding.session import Session
from beast_lp.encoding.sources import find_sources, parse_named, read_features
from beast_lp.encoding.split import UNUSED, fold_blocks
from beast_lp.encoding.stage import load_sessions, run_encoding
from beast_lp.encoding.tables import DRIFT, comparison_table
from beast_lp.errors import BeastError

SECTION: dict[str, Any] = {
    'encoders': ['ridge', 'poisson_rrr'],
    'lags': 1,
    'min_rate_hz': 0.5,
    'split': {'block_s': 4.0},
    'controls': {'shifts': 19, 'permutations': 4},
}


def _config(**changes: Any) -> BeastConfig:
    return parse_config({'encoding': {**SECTION, **changes}})


@pytest.fixture
def spikes(simulated: dict[str, np.ndarray], tmp_path: Path) -> Path:
    path = tmp_path / 'spikes' / 's1.npz'
    path.parent.mkdir()
    counts = np.column_stack([simulated['counts'], np.zeros(2400, int)])
    np.savez(
        path,
        spike_counts=counts,
        bin_times=simulated['times'],
        bin_width=0.05,
        regions=np.array(['M1', 'S1'] * 6 + ['M1']),
    )
    return path


@pytest.fixture
def sources(
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
) -> list[tuple[str, Path]]:
    rng = np.random.default_rng(1)
    good, noise = simulated['features'], rng.normal(size=(2400, 4))
    write_store('good/s1', good, simulated['times'])
    write_store('noise/s1', noise, simulated['times'])
    root = Path(write_store('other/s1', good, simulated['times'])).parents[1]
    return [('good', root / 'good'), ('noise', root / 'noise')]


def test_scores_tables_and_files(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    out = tmp_path / 'out'
    results = run_encoding(_config(), [('s1', spikes)], sources, out)
    files = EncodingFiles(out)
    table = pd.read_csv(files.comparison).set_index(['source', 'encoder'])
    assert results[0].session.folds.scored.all()
    ceiling = bits_per_spike(simulated['counts'], simulated['rates'])
    for encoder in ('ridge', 'poisson_rrr'):
        good, noise = (table.loc[(name, encoder)] for name in ('good', 'noise'))
        assert 0.7 * ceiling.pooled < good.bps_pooled < ceiling.pooled
        assert good.over_drift > good.shift_high
        assert good.over_drift > good.permutation_high
        assert good.verdict == 'evidence'
        assert good.shift_p == 0.05
        assert noise.verdict == 'no evidence'
        assert noise.bps_pooled < 0.02
        assert noise.behind_best == pytest.approx(good.bps_pooled - noise.bps_pooled)
        assert noise.behind_best_from < noise.behind_best < noise.behind_best_to
        # destroyed relations explain nothing
        assert good.shift_high < 0.05
        assert good.permutation_high < 0.05
    drift = table.loc[(DRIFT, 'ridge')]
    assert drift.bps_pooled == pytest.approx(table.loc[('good', 'poisson_rrr')].drift)
    differences = pd.read_csv(files.differences)
    assert differences.source.tolist() == ['good', 'good']
    assert (differences.low > 0.05).all()
    assert set(differences.over) == {'blocks'}
    parts = pd.read_csv(files.breakdown)
    parts = parts[(parts.source == 'good') & (parts.encoder == 'ridge')].set_index('name')
    row, regions = table.loc[('good', 'ridge')], parts.loc[['M1', 'S1']]
    assert regions.neurons.tolist() == [6, 6]
    assert parts.score['s1'] == pytest.approx(row.score)
    assert regions.score.min() < row.score < regions.score.max()

    neurons = pd.read_csv(files.neurons)
    # 12 of 13 neurons fire
    assert len(neurons) == 12 * 5
    assert set(neurons.region) == {'M1', 'S1'}
    own = neurons[(neurons.source == 'good') & (neurons.encoder == 'poisson_rrr')]
    assert own.bps.mean() == pytest.approx(table.loc[('good', 'poisson_rrr')].bps_mean)
    # 19 draws: the least p value, 0.05, is also the rate of false discoveries
    assert own.significant.astype(float).mean() > 0.9
    assert own.same_in_all_trials.isna().all()
    summary = json.loads(files.summary.read_text())
    assert summary['seed'] == 0
    assert 'numpy' in summary['versions']
    assert '1 never fire' in summary['sessions']['s1']['notes'][-1]

    # rates of all results would fill the memory, so they are in the files alone
    held = vars(results[0].evaluation) | vars(results[0].evaluation.scores)
    assert max(np.size(value) for value in held.values()) < 2400
    # the saved rates are those that were scored
    with np.load(files.rates('s1', 'good', 'ridge')) as data:
        rates = data['rates']
        np.testing.assert_allclose(data['bin_times'], simulated['times'])
    again = bits_per_spike(simulated['counts'], rates)
    assert again.pooled == pytest.approx(table.loc[('good', 'ridge')].bps_pooled, abs=1e-5)
    assert not list(out.rglob('*.part'))


def test_what_sources_add_to_the_past_is_a_table_where_it_is_asked_for(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    plain, asked = tmp_path / 'plain', tmp_path / 'asked'
    quick = {'encoders': ['ridge'], 'controls': {'shifts': 0}}
    run_encoding(_config(**quick), [('s1', spikes)], sources, plain)
    run_encoding(_config(**quick, history_bins=6), [('s1', spikes)], sources, asked)
    assert not EncodingFiles(plain).history.exists()
    before = pd.read_csv(EncodingFiles(plain).comparison)
    table = pd.read_csv(EncodingFiles(asked).comparison)
    pd.testing.assert_frame_equal(table[before.columns], before)
    neurons = pd.read_csv(EncodingFiles(asked).history)
    assert len(neurons) == 2 * 12
    rows = table.set_index('source')
    good = neurons[neurons.source == 'good']
    assert rows.over_history_mean['good'] == pytest.approx(good.over_history.mean(), abs=1e-6)
    assert np.isnan(rows.over_history_mean[DRIFT])
    # neurons without a memory, whose past tells some of what moves them
    assert 0.02 < rows.history_mean['good'] == pytest.approx(rows.history_mean['noise'])
    assert abs(rows.over_history_mean['noise']) < 0.005
    assert 0.1 < rows.over_history_mean['good'] < rows.bps_mean['good']


def test_the_past_of_traces_is_refused(tmp_path: Path, write_store: Callable[..., Path]) -> None:
    rng, times = np.random.default_rng(0), (np.arange(600) + 0.5) * 0.05
    store = write_store('good/s1', rng.normal(size=(600, 3)), times)
    path = tmp_path / 's1.npz'
    np.savez(path, traces=rng.normal(size=(600, 2)), bin_times=times, bin_width=0.05)
    with pytest.raises(BeastError, match=r'history_bins is for the past of spikes, .* traces'):
        run_encoding(_config(history_bins=4), [('s1', path)], [('a', store)], tmp_path / 'out')


def test_a_killed_run_goes_on_and_a_finished_one_is_kept(
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # their hyper-parameters are whole and broken numbers
    config = _config(encoders=['rrr', 'poisson_rrr'])
    args = (config, [('s1', spikes)], sources)
    run_encoding(*args, tmp_path / 'whole')
    real, calls = stage.evaluate, []

    def killed(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(stage, 'evaluate', killed)
    with pytest.raises(KeyboardInterrupt):
        run_encoding(*args, tmp_path / 'torn')
    assert not EncodingFiles(tmp_path / 'torn').summary.exists()
    with pytest.raises(BeastError, match=r'beast\.encoding\.lags was \d+ and is now 0'):
        run_encoding(
            _config(encoders=['rrr', 'poisson_rrr'], lags=0), *args[1:], tmp_path / 'torn'
        )
    run_encoding(*args, tmp_path / 'torn')
    # 4 results beside drift, 2 were there
    assert len(calls) == 3 + 2
    for name in ('neurons.csv', 'comparison.csv', 'summary.json'):
        assert (tmp_path / 'torn' / name).read_text() == (tmp_path / 'whole' / name).read_text()
    before = EncodingFiles(tmp_path / 'whole').summary.read_bytes()
    EncodingFiles(tmp_path / 'whole').report.touch()
    with pytest.raises(BeastError, match='already holds a finished encoding run'):
        run_encoding(*args, tmp_path / 'whole')
    assert EncodingFiles(tmp_path / 'whole').summary.read_bytes() == before


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04' + bytes(90), 'cut', 'lacks', 'digests'])
def test_damaged_rates_of_an_earlier_run_are_named(
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    content: bytes | str,
) -> None:
    config = _config(encoders=['ridge'], controls={'shifts': 0, 'permutations': 0})
    args = (config, [('s1', spikes)], sources, tmp_path / 'out')
    run_encoding(*args)
    rates = EncodingFiles(tmp_path / 'out').rates('s1', 'good', 'ridge')
    with np.load(rates) as data:
        arrays = {name: data[name] for name in data.files}
    if content == 'cut':
        rates.write_bytes(rates.read_bytes()[:-40])
    elif content == 'lacks':
        np.savez(rates, **{name: arrays[name] for name in arrays if name != 'shifts'})
    elif content == 'digests':
        np.savez(rates, **{**arrays, 'digest': np.array(['a', 'b'])})
    else:
        assert isinstance(content, bytes)
        rates.write_bytes(content)
    with pytest.raises(BeastError, match='good-ridge.npz cannot be read as rates') as error:
        run_encoding(*args)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('what', ['nothing', 'spikes', 'camera', 'feature', 'version'])
def test_a_run_does_not_go_on_with_data_that_changed(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera, out = tmp_path / 'camera.npy', tmp_path / 'out'
    np.save(camera, simulated['times'])
    config = _config(
        encoders=['ridge'], camera_times=str(camera), controls={'shifts': 0, 'permutations': 0}
    )
    args = (config, [('s1', spikes)], sources, out)
    run_encoding(*args)
    rates = EncodingFiles(out).rates('s1', 'good', 'ridge')
    before = {path: path.read_bytes() for path in out.rglob('*.npz')}
    if what == 'spikes':
        # as many spikes, of other bins
        np.savez(
            spikes,
            spike_counts=simulated['counts'][::-1],
            bin_times=simulated['times'],
            bin_width=0.05,
        )
    elif what == 'camera':
        # the bins stay, what lies in them does not
        np.save(
            camera,
            np.concatenate(
                [simulated['times'][:1], simulated['times'][1:-1] + 0.01, simulated['times'][-1:]]
            ),
        )
    elif what == 'feature':
        file = sources[0][1] / 's1' / 'cls.npy'
        features = np.load(file)
        features[7, 2] += 1e-3
        np.save(file, features)
    elif what == 'version':
        with np.load(rates) as data:
            content = {name: data[name] for name in data.files if name != 'digest'}
        np.savez(rates, **content)
        before[rates] = rates.read_bytes()
    monkeypatch.setattr(stage, 'evaluate', None)
    if what == 'nothing':
        run_encoding(*args)
        return
    words = 'older beast-lp' if what == 'version' else 'other spikes, times or features'
    with pytest.raises(BeastError, match=f'good-ridge.npz was .* {words}') as error:
        run_encoding(*args)
    assert '\n' not in str(error.value)
    assert {path: path.read_bytes() for path in out.rglob('*.npz')} == before


def test_two_sessions_are_fitted_apart_and_pooled(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    write_store: Callable[..., Path],
    tmp_path: Path,
) -> None:
    for name, source_hash in (('s1', 'a'), ('s2', 'a')):
        write_store(f'both/{name}', simulated['features'], simulated['times'], source_hash)
    two = [('s1', spikes), ('s2', spikes)]
    config = _config(encoders=['ridge'], controls={'shifts': 0, 'permutations': 0})
    results = run_encoding(config, two, [('both', tmp_path / 'both')], tmp_path / 'out')
    a, b = (result.evaluation.scores for result in results if result.source == 'both')
    np.testing.assert_array_equal(a.bps, b.bps)
    table = pd.read_csv(tmp_path / 'out' / 'comparison.csv')
    assert table.neurons.tolist() == [24, 24]
    assert table.sem_sessions[0] == pytest.approx(0)
    assert pd.isna(table.verdict[0])
    weights = results[0].weights
    assert table.bps_pooled[0] == pytest.approx(np.average(a.bps, weights=weights))
    assert np.isnan(table.shift_high[0])


def test_bins_without_a_fold_are_left_out_and_neurons_counted_by_the_others(
    simulated: dict[str, np.ndarray],
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    counts = simulated['counts'].copy()
    # fires in what is left out alone, and in one fold alone
    counts[:1200, 0] = counts[600:, 1] = 0
    path = tmp_path / 's1.npz'
    np.savez(path, spike_counts=counts, bin_times=simulated['times'], bin_width=0.05)

    def half(bins: Bins, config: EncodingConfig, seed: int) -> np.ndarray:
        fold = fold_blocks(bins, 3, config.split.block_s, seed)
        fold[:600] = 0
        fold[600:1200] = np.where(fold[600:1200] == 0, 1, fold[600:1200])
        return np.where(bins.times < 60, fold, UNUSED)

    config = _config(encoders=['ridge'], controls={'shifts': 0, 'permutations': 0})
    results = run_encoding(config, [('s1', path)], sources, tmp_path / 'out', half)
    session = results[0].session
    assert session.names.tolist() == list(range(2, 12))
    with np.load(results[0].file) as data:
        assert np.isfinite(data['rates'][:1200]).all()
        assert np.isnan(data['rates'][1200:]).all()
        found = bits_per_spike(session.responses[:1200], data['rates'][:1200])
    table = comparison_table(results).set_index('source')
    assert table.bps_pooled['good'] == pytest.approx(found.pooled, abs=1e-5)


def test_traces_of_calcium_imaging(
    simulated: dict[str, np.ndarray],
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    path = tmp_path / 's1.npz'
    rng = np.random.default_rng(2)
    traces = np.log(simulated['rates']) + 0.3 * rng.normal(size=(2400, 12))
    np.savez(path, traces=traces, bin_times=simulated['times'], bin_width=0.05)
    config = _config(encoders=['ridge'])
    run_encoding(config, [('s1', path)], sources, tmp_path / 'out')
    table = pd.read_csv(tmp_path / 'out' / 'comparison.csv').set_index('source')
    assert 'bps_pooled' not in table
    assert table.variance_explained['good'] > 0.7
    assert table.r_squared['good'] == pytest.approx(table.variance_explained['good'], abs=0.05)
    assert table.variance_explained['noise'] < 0.05


def test_what_no_fit_can_mend_is_refused_before_the_first(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traces = tmp_path / 's1.npz'
    np.savez(traces, traces=simulated['rates'], bin_times=simulated['times'], bin_width=0.05)
    with pytest.raises(BeastError, match='poisson_rrr predicts spike counts'):
        run_encoding(_config(), [('s1', traces)], sources, tmp_path / 'out')
    with monkeypatch.context() as patch:
        patch.setattr(reduce, 'MOST_BYTES', 100)
        with pytest.raises(BeastError, match="6 features of 'good' in .* --patch_dim"):
            run_encoding(_config(), [('s1', spikes)], sources, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_the_default_encoders_suit_traces_too() -> None:
    config = parse_config({}).encoding
    for is_counts in (True, False):
        assert choose_encoders(config, is_counts) == ['ridge', 'rrr']


def test_features_of_two_backbones_are_refused(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    write_store: Callable[..., Path],
    tmp_path: Path,
) -> None:
    for name, source_hash in (('s1', 'aaaa'), ('s2', 'bbbb')):
        write_store(f'mixed/{name}', simulated['features'], simulated['times'], source_hash)
    with pytest.raises(BeastError, match='different ways .s1: weights aaaa, .*; s2: weights bbbb'):
        run_encoding(
            _config(),
            [('s1', spikes), ('s2', spikes)],
            [('mixed', tmp_path / 'mixed')],
            tmp_path / 'out',
        )
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('items', 'words'),
    [
        ([], 'no spikes were given'),
        (['a/x.npz', 'b/x.npz'], "called 'x'"),
        (['a/b=x.npz'], "'a/b'"),
        (['..=x.npz'], "'..' cannot be the name"),
        (['.=x.npz'], "'.' cannot be the name"),
        (['..\\x=x.npz'], 'cannot be the name'),
    ],
)
def test_names_that_do_not_do(items: list[str], words: str) -> None:
    with pytest.raises(BeastError, match=words):
        parse_named(items, 'spikes')


@pytest.mark.parametrize(
    'names',
    [
        ('vit.b', 'vit_b'),
        ('a b', 'a_b'),
        ('ViT', 'vit'),
        ('a', 'slow drift (control)'),
    ],
)
def test_sources_that_would_share_files_are_refused(
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    names: tuple[str, str],
) -> None:
    named = [(name, path) for name, (_, path) in zip(names, sources, strict=True)]
    with pytest.raises(BeastError, match='would be stored under one file name'):
        run_encoding(_config(), [('s1', spikes)], named, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_names_are_taken_from_paths() -> None:
    named = parse_named(['a/s1.npz', 'two=b/x.nwb', 'c/session/alf'], 'spikes')
    assert [name for name, _ in named] == ['s1', 'two', 'session']
    assert all(path.is_absolute() for _, path in named)


def test_the_end_of_a_folder_is_no_suffix(
    simulated: dict[str, np.ndarray], write_store: Callable[..., Path], tmp_path: Path
) -> None:
    features, times = simulated['features'], simulated['times']
    store = write_store('mouse1_2024.05.01', features, times)
    (tmp_path / 'rate=30').mkdir()
    named = parse_named([str(store), str(tmp_path / 'rate=30')], 'features')
    assert [name for name, _ in named] == ['mouse1_2024.05.01', 'rate=30']
    (source,) = find_sources(named[:1])
    assert read_features(source, 'mouse1_2024.05.01', only=False, tokens='cls')
    with pytest.raises(BeastError, match='features of one video, but there are several'):
        read_features(source, 'mouse1_2024.05', only=False, tokens='cls')


def test_a_comma_in_the_name_of_a_folder_is_no_second_view(
    simulated: dict[str, np.ndarray], write_store: Callable[..., Path]
) -> None:
    features, times = simulated['features'], simulated['times']
    odd, right = write_store('left,top', features, times), write_store('right', features, times)
    (source,) = find_sources(parse_named([f'both={right},{odd}'], 'features'))
    assert source.paths == (right, odd)


def test_views_stand_side_by_side(
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
) -> None:
    features, times = simulated['features'], simulated['times']
    left = write_store('left', features[:, :2], times, 'a')
    right = write_store('right', features[:, 2:], times, 'b')
    (source,) = find_sources(parse_named([f'both={left},{right}'], 'features'))
    both = read_features(source, 's1', only=True, tokens='cls')
    values = [view.values for view in both]
    np.testing.assert_allclose(np.concatenate(values, axis=1), features, atol=1e-6)
    assert [view.made_by for view in both] == ['weights a, images None', 'weights b, images None']
    short = write_store('short', features[:100], times[:100])
    (source,) = find_sources(parse_named([f'both={left},{short}'], 'features'))
    with pytest.raises(BeastError, match='the same frames .2400, 100 frames'):
        read_features(source, 's1', only=True, tokens='cls')


@pytest.mark.parametrize('views', ['keypoints', 'mixed'])
def test_keypoints_are_never_reduced_to_components(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    write_store: Callable[..., Path],
    tmp_path: Path,
    views: str,
) -> None:
    rng = np.random.default_rng(3)
    # pixels of two keypoints, whose velocities vary a thousand times less
    positions = 200 + np.cumsum(rng.normal(0, 0.3, (2400, 4)), axis=0)
    columns = pd.MultiIndex.from_product(
        [['tracker'], ['nose', 'tail'], ['x', 'y', 'likelihood']],
        names=['scorer', 'bodyparts', 'coords'],
    )
    for name in ('top', 'side'):
        table = np.ones((2400, 6))
        table[:, [0, 1, 3, 4]] = positions
        pd.DataFrame(table, columns=columns).to_csv(tmp_path / f'{name}.csv')
    wide = np.tile(simulated['features'], 2)
    write_store('store', wide, simulated['times'])
    other = tmp_path / ('side.csv' if views == 'keypoints' else 'store')
    found = find_sources(parse_named([f'both={tmp_path / "top.csv"},{other}'], 'features'))
    np.save(tmp_path / 'camera.npy', simulated['times'])
    config = _config(components=3, camera_times=str(tmp_path / 'camera.npy')).encoding
    (session,) = load_sessions(config, 0, [('s1', spikes)], found)
    if views == 'keypoints':
        # two views of the same positions
        assert session.features['both'].shape[1] == 4
        moving = session.features['both + velocities']
        assert moving.shape[1] == 8
        # positions and velocities have scales of their own
        assert moving.std(axis=0).min() > 0.1
    else:
        # 3 components, and all positions
        assert session.features['both'].shape[1] == 3 + 4


def test_patches_are_read_only_where_they_are(
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
) -> None:
    features, times = simulated['features'], simulated['times']
    patches = np.random.default_rng(0).normal(size=(2400, 4, 3))
    with_patches = write_store('p', features, times, patches=patches)
    (source,) = find_sources([('p', with_patches)])
    for tokens, width in (('cls', 6), ('patches', 12)):
        (view,) = read_features(source, 's1', True, tokens)
        assert row_width([view.values]) == width
    (source,) = find_sources([('c', write_store('c', features, times))])
    with pytest.raises(BeastError, match='holds no patch features'):
        read_features(source, 's1', True, 'patches')


def test_the_clock_of_the_video_is_not_taken_in_silence(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = 'as if the first frame had been filmed at 0.025 s on the clock of the neurons'
    np.save(tmp_path / 'camera.npy', simulated['times'])
    for section, said in (
        ({}, True),
        ({'clock_offset_s': 0.1}, False),
        ({'camera_times': str(tmp_path / 'camera.npy')}, False),
    ):
        caplog.clear()
        with caplog.at_level('WARNING', 'lightning_pose'):
            (session,) = load_sessions(
                _config(**section).encoding, 0, [('s1', spikes)], find_sources(sources)
            )
        assert any(words in note for note in session.notes) == said
        assert (words in caplog.text) == said
    with np.load(spikes) as data:
        np.savez(tmp_path / 's1.npz', frame_times=simulated['times'], **data)
    (session,) = load_sessions(
        _config().encoding, 0, [('s1', tmp_path / 's1.npz')], find_sources(sources)
    )
    assert not any(words in note for note in session.notes)


@pytest.mark.parametrize('what', ['camera', 'event'])
def test_one_file_of_times_is_not_given_to_several_sessions(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    write_store: Callable[..., Path],
    tmp_path: Path,
    what: str,
) -> None:
    for name in ('s1', 's2'):
        write_store(f'both/{name}', simulated['features'], simulated['times'])
    times = tmp_path / 'times'
    times.mkdir()
    given = {
        'camera': simulated['times'],
        'event': np.arange(2.0, 110.0, 3.0),
    }[what]
    np.save(times / 's1.npy', given)
    np.savetxt(times / 's2.csv', given)

    def load(path: Path) -> list[Session]:
        section = (
            {'camera_times': str(path)} if what == 'camera' else {'trials': {'events': str(path)}}
        )
        two = [('s1', spikes), ('s2', spikes)]
        return load_sessions(
            _config(**section).encoding, 0, two, find_sources([('both', tmp_path / 'both')])
        )

    one, two = load(times)
    np.testing.assert_allclose(one.bins.times, two.bins.times)
    # also where the file is called like one of them
    words = f'holds the {what} times of one session, but there are 2 .s1, s2.'
    with pytest.raises(BeastError, match=words):
        load(times / 's1.npy')


def test_surplus_camera_times_are_counted(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    words = '2407 camera times for a video of 2400 frames, and the last 7 were cut off'
    camera = tmp_path / 'camera.npy'
    for surplus in (0, 7):
        np.save(camera, 0.025 + np.arange(2400 + surplus) * 0.05)
        (session,) = load_sessions(
            _config(camera_times=str(camera)).encoding, 0, [('s1', spikes)], find_sources(sources)
        )
        assert any(words in note for note in session.notes) == bool(surplus)
        np.testing.assert_allclose(session.bins.times, simulated['times'])


def test_a_session_does_not_hold_the_patches_of_its_video(
    simulated: dict[str, np.ndarray],
    spikes: Path,
    write_store: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patches = np.random.default_rng(0).normal(size=(2400, 16, 16))
    store = write_store('p', simulated['features'], simulated['times'], patches=patches)
    monkeypatch.setattr(align, '_BLOCK_BYTES', 2**16)
    monkeypatch.setattr(reduce, '_PIECE_BYTES', 2**17)
    config = _config(tokens='patches', components=8).encoding
    # 256 features, 2.5 MB of them in all bins
    tracemalloc.start()
    (session,) = load_sessions(config, 0, [('s1', spikes)], find_sources([('p', store)]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert session.features['p'].shape == (2400, 8)
    assert peak < 2.5e6


def test_events_named_by_nothing_make_no_trials(
    spikes: Path,
    sources: list[tuple[str, Path]],
) -> None:
    config = _config(trials={'events': ''}).encoding
    (session,) = load_sessions(config, 0, [('s1', spikes)], find_sources(sources))
    # 120 s in blocks of 4 s are what permutations exchange
    assert len(np.unique(session.unit)) == 30


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('a.npy', b''),
        ('a.npy', b'PK'),
        ('a.csv', b''),
        ('a.npz', None),
    ],
)
def test_times_that_cannot_be_read_get_a_sentence(
    tmp_path: Path,
    name: str,
    content: bytes | None,
) -> None:
    path = tmp_path / name
    if content is None:
        np.savez(path, times=np.arange(3.0))
    else:
        path.write_bytes(content)
    with pytest.raises(BeastError, match=f'{name} cannot be read as event times'):
        read_numbers(path, 'event times')


def test_a_session_without_features_is_named(
    simulated: dict[str, np.ndarray],
    write_store: Callable[..., Path],
) -> None:
    folder = write_store('some/other', simulated['features'], simulated['times']).parent
    (source,) = find_sources([('some', folder)])
    with pytest.raises(BeastError, match="no features of session 's1', only of other"):
        read_features(source, 's1', True, 'cls')


def test_a_given_split_takes_precedence_over_the_settings(
    spikes: Path,
    sources: list[tuple[str, Path]],
    tmp_path: Path,
) -> None:
    def thirds(bins: Bins, config: EncodingConfig, seed: int) -> np.ndarray:
        assert (config.lags, seed) == (1, 0)
        return np.arange(len(bins)) // 800

    config = _config(encoders=['ridge'], controls={'shifts': 0, 'permutations': 0})
    results = run_encoding(config, [('s1', spikes)], sources, tmp_path / 'out', thirds)
    folds = results[0].session.folds
    np.testing.assert_array_equal(folds.fold, np.repeat([0, 1, 2], 800))
    # 0.4 s on each side of both borders
    assert (~folds.core).sum() == 4 * 8
