"""`litpose encode` on the tiny project, with good input and bad."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from warm_litpose import Litpose

# two seconds of recording, so everything is short
SHORT = [
    'beast.encoding.split.block_s=0.16',
    'beast.encoding.lags=0',
    'beast.encoding.min_rate_hz=0.1',
    'beast.encoding.controls.shifts=19',
    'beast.encoding.controls.permutations=3',
    'beast.encoding.encoders=[ridge,rrr]',
]


@pytest.fixture
def keypoints(tiny_project: Path, tmp_path: Path) -> Path:
    """Return a folder of predictions, one CSV per session as `litpose predict` leaves them."""
    folder = tmp_path / 'video preds'
    folder.mkdir()
    for path in (tiny_project.parent / 'truth').glob('*_keypoints.csv'):
        shutil.copy(path, folder / path.name.replace('_keypoints', ''))
    return folder


def test_two_sessions_in_one_table(
    litpose: Litpose,
    tiny_project: Path,
    keypoints: Path,
    tmp_path: Path,
) -> None:
    # the synthetic lab recorded once; another session with the same spikes and its own video
    first = tiny_project.parent / 'spikes' / 'session_01.npz'
    spikes = [first, Path(shutil.copy(first, tmp_path / 'session_02.npz'))]
    out = tmp_path / 'out put'
    result = litpose(
        'encode',
        tiny_project,
        '--features',
        f'pose={keypoints}',
        '--spikes',
        *spikes,
        '--output_dir',
        out,
        '--overrides',
        *SHORT,
    )
    assert 'report.html' in result.stdout
    table = pd.read_csv(out / 'comparison.csv')
    assert table.source.unique().tolist() == ['pose', 'pose + velocities', 'slow drift (control)']
    assert table.encoder.unique().tolist() == ['ridge', 'rrr']
    differences = pd.read_csv(out / 'differences.csv')
    assert {*differences.source, *differences.other} == {'pose', 'pose + velocities'}
    parts = pd.read_csv(out / 'breakdown.csv')
    assert set(parts.name[parts.level == 'session']) == {'session_01', 'session_02'}
    assert np.isfinite(table.bps_pooled.to_numpy()).all()
    # each verdict is said in the terminal and stands in the table
    scored = pd.DataFrame(table[table.source != 'slow drift (control)'])
    for row in scored.to_dict('records'):
        name = f'{row["source"]} with {row["encoder"]} ({row["score"]:.3g})'
        said = 'evidence' if row['verdict'] == 'evidence' else 'NOT evidence'
        assert f'{name} is {said} of encoding: it adds' in result.stdout
    neurons = pd.read_csv(out / 'neurons.csv')
    assert neurons.session.unique().tolist() == ['session_01', 'session_02']
    assert (out / 'report.html').stat().st_size > 50_000
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['settings']['beast']['encoding']['lags'] == 0
    with np.load(out / 'rates' / 'session_01' / 'pose-ridge.npz') as data:
        assert data['rates'].shape == (60, len(data['names']))

    again = litpose(
        'encode',
        tiny_project,
        '--features',
        f'pose={keypoints}',
        '--spikes',
        *spikes,
        '--output_dir',
        out,
        '--overrides',
        *SHORT,
        fails=True,
    )
    assert 'already holds a finished encoding run' in again.stderr


def test_missing_arguments_get_a_sentence(
    litpose: Litpose,
    tiny_project: Path,
    tmp_path: Path,
) -> None:
    result = litpose('encode', tiny_project, '--output_dir', tmp_path / 'out', fails=True)
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith('error: no features were given')
    assert not (tmp_path / 'out').exists()
