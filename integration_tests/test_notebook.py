"""The notebook among the guides runs from its first cell to its last."""

import os
import sys
from pathlib import Path

import pytest
from measures import NO_GPU

NOTEBOOK = Path(__file__).parents[1] / 'beast_lp' / 'guides' / 'beast_lp.ipynb'

nbformat = pytest.importorskip('nbformat', reason='the tools for notebooks are not installed')
nbclient = pytest.importorskip('nbclient', reason='the tools for notebooks are not installed')


def test_it_holds_no_results_of_another_machine() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_it_shows_the_report_and_the_scores(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = Path(sys.executable).parent
    settings = {
        **NO_GPU,
        'BEAST_LP_NOTEBOOK': 'tiny',
        'OMP_NUM_THREADS': '1',
        'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
        # neither settings nor kernels of this machine's user
        'IPYTHONDIR': str(tmp_path / 'ipython'),
        'JUPYTER_CONFIG_DIR': str(tmp_path / 'jupyter'),
        'JUPYTER_DATA_DIR': str(tmp_path / 'jupyter'),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path / 'lab'
    folder.mkdir()
    # an error in a cell is an error here
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={'metadata': {'path': folder}}
    )
    client.execute()
    assert (folder / 'my_backbone' / 'backbone' / 'model.safetensors').is_file()
    shown = [
        output.data
        for cell in notebook.cells
        if cell.cell_type == 'code'
        for output in cell.outputs
        if 'data' in output
    ]
    (report,) = (data['text/html'] for data in shown if 'srcdoc' in data.get('text/html', ''))
    assert 'val_explained' in report or 'reconstruction' in report.lower()
    # frames of the videos, and the bars
    assert sum('image/png' in data for data in shown) == 2
    assert any('this backbone' in data.get('text/plain', '') for data in shown)
