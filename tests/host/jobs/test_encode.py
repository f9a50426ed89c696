"""`encode` on input that cannot be used: a sentence each, and nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from beast_lp.config import parse_config
from beast_lp.demo import TINY, write_project
from beast_lp.encoding.sources import find_sources
from beast_lp.encoding.stage import load_sessions
from beast_lp.errors import BeastError
from beast_lp.host.jobs.encode import encode, named_inputs

SHORT = {'split': {'block_s': 0.16}, 'min_rate_hz': 0.1, 'encoders': ['ridge']}


@pytest.fixture(scope='module')
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a synthetic project."""
    return write_project(tmp_path_factory.mktemp('lab') / 'project', TINY).parent


def _changed(path: Path, spikes: Path, **changes: object) -> Path:
    with np.load(spikes) as data:
        content = {**{name: data[name] for name in data.files}, **changes}
    np.savez(path, **content)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ('change', 'section', 'words'),
    [
        # camera times shorter than the video
        (
            lambda c: {'frame_times': c['frame_times'][:50]},
            {},
            '50 camera times for a video of 60',
        ),
        # spikes outside of the video
        (lambda c: {'bin_times': c['bin_times'] + 1000}, {}, 'outside the video'),
        (lambda c: {'spike_counts': c['spike_counts'] * np.nan}, {}, 'are NaN or infinite'),
        (lambda c: {'spike_counts': c['spike_counts'] * 0}, {}, '5 never fire'),
        (lambda c: {}, {'split': {'block_s': 60.0}}, 'too few to train, validate and test'),
        (lambda c: {}, {'trials': {}}, '1 trial is too few'),
        (
            lambda c: {},
            {'tokens': 'patches', 'lags': 0, 'clock_offset_s': 99.0},
            'outside the video',
        ),
    ],
)
def test_bad_input_gets_a_sentence(
    lab: Path,
    tmp_path: Path,
    change: Callable[[dict[str, np.ndarray]], dict[str, object]],
    section: dict[str, object],
    words: str,
) -> None:
    source = lab / 'spikes' / 'session_01.npz'
    with np.load(source) as data:
        changes = change({name: data[name] for name in data.files})
    spikes = _changed(tmp_path / 'session_01.npz', source, **changes)
    np.save(tmp_path / 'events.npy', np.array([1.0]))
    if 'trials' in section:
        section = {
            **section,
            'trials': {'events': str(tmp_path / 'events.npy'), 'window': [-0.2, 0.4]},
        }
    config = parse_config({'encoding': {**SHORT, **section}})
    features = [('pose', lab / 'truth' / 'session_01_keypoints.csv')]
    with pytest.raises(BeastError, match=words) as error:
        encode(config, [('session_01', spikes)], features, tmp_path / 'out')
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_a_run_that_was_cut_off_before_its_report_writes_it(
    lab: Path,
    tmp_path: Path,
) -> None:
    controls = {'shifts': 1, 'permutations': 1}
    config = parse_config({'encoding': {**SHORT, 'controls': controls}})
    spikes = [('session_01', lab / 'spikes' / 'session_01.npz')]
    features = [('pose', lab / 'truth' / 'session_01_keypoints.csv')]
    out = tmp_path / 'out'
    table = encode(config, spikes, features, out)
    fits = {path: path.stat().st_mtime_ns for path in out.glob('rates/*/*.npz')}
    (out / 'report.html').unlink()
    pd.testing.assert_frame_equal(encode(config, spikes, features, out), table)
    assert (out / 'report.html').exists()
    assert {path: path.stat().st_mtime_ns for path in out.glob('rates/*/*.npz')} == fits
    with pytest.raises(BeastError, match='already holds a finished encoding run'):
        encode(config, spikes, features, out)


def test_the_probes_of_a_session_are_given_together(lab: Path, tmp_path: Path) -> None:
    probes = [tmp_path / 'alf' / name for name in ('probe00', 'probe01')]
    for probe in probes:
        probe.mkdir(parents=True)
        np.save(probe / 'spikes.times.npy', np.linspace(0, 2.4, 200))
        np.save(probe / 'spikes.clusters.npy', np.arange(200) % 2)
    (tmp_path / 'wheel.csv').write_text(
        'time,speed\n' + ''.join(f'{time},{time**2:.4f}\n' for time in np.arange(0, 2.4, 0.05))
    )
    cfg = OmegaConf.create({'beast': {'encoding': SHORT}})
    tables = [f'wheel={tmp_path / "wheel.csv"}']
    for given in (f's1={probes[0]},{probes[1]}', f's1={tmp_path}'):
        config, spikes, features = named_inputs(cfg, [given], tables)
        (session,) = load_sessions(config.encoding, 0, spikes, find_sources(features))
        assert session.names.tolist() == ['probe00_0', 'probe00_1', 'probe01_0', 'probe01_1']
    with pytest.raises(BeastError, match=f"no spikes at {probes[1]}x; correct the path of 's1'"):
        named_inputs(cfg, [f's1={probes[0]},{probes[1]}x'], tables)
