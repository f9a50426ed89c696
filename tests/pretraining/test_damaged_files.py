"""Our own files of a pretraining run, damaged: a sentence, or they are made again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from beast_lp.config import BeastConfig
from beast_lp.errors import BeastError, sentence_of
from beast_lp.host.train_status import is_completed, mark_completed
from beast_lp.pretraining.callbacks import MetricsTable, Throughput
from beast_lp.pretraining.pictures import read_snapshots
from beast_lp.pretraining.run_files import RunFiles, read_run_config
from beast_lp.pretraining.stage import run_pretraining
from beast_lp.pretraining.training_frames import check_same_windows
from beast_lp.pretraining.tune import chosen_weight, tune
from beast_lp.reports.pretraining_content import read_table
from beast_lp.reports.pretraining_run import _METRICS, write_report
from beast_lp.video.window_store import WindowStore

DAMAGE = {
    'empty': b'',
    'binary': b'\x00\xff\xfe\x93garbage',
    'words': b'nothing of ours',
    'mapping': b'{"a": 1}',
    'list': b'[1, 2]',
    'quote': b'"a,b\n1,2\n',
}
# file -> what reads it
READERS: dict[str, Callable[[RunFiles], object]] = {
    'beast.yaml': read_run_config,
    'checkpoints/windows.json': lambda files: check_same_windows(
        files.last,
        WindowStore(
            files.windows, pd.DataFrame({'video_id': [], 'frame': [], 'clip': [], 'window': []})
        ),
    ),
    'metrics.csv': lambda files: (
        MetricsTable(files.metrics, Throughput())._earlier(),
        read_table(files.metrics, numbers=_METRICS),
    ),
    'snapshots/epoch_00001.npy': lambda files: read_snapshots(files.snapshots),
    'windows/index.csv': lambda files: WindowStore.open(files.windows),
    'tune/tune.csv': lambda files: (
        chosen_weight(files.tune / 'tune.csv'),
        tune([0.1], 0.1, 0, files.tune / 'tune.csv', lambda *_: pytest.fail('not reached')),
    ),
    'train_status.json': lambda files: (
        is_completed(files.directory),
        mark_completed(files.directory / 'train_status.json'),
    ),
}
# without them a run can still go on
REBUILT = {'snapshots/epoch_00001.npy', 'train_status.json'}


@pytest.mark.parametrize(('name', 'read'), READERS.items(), ids=READERS)
@pytest.mark.parametrize('content', DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_of_ours_is_a_sentence_or_is_made_again(
    name: str, read: Callable[[RunFiles], object], content: bytes, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    files.last.parent.mkdir(exist_ok=True)
    files.last.touch()
    path.write_bytes(content)
    if name in REBUILT:
        read(files)
        return
    with pytest.raises((BeastError, UnicodeDecodeError)) as caught:
        read(files)
    sentence = sentence_of(caught.value)
    assert sentence is not None and '; ' in sentence and '\n' not in sentence


def test_a_run_whose_windows_were_deleted_still_gets_its_report(
    tiny_config: Callable[..., BeastConfig], videos: list[Path], tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / 'out')
    config = tiny_config(training={'epochs': 1})
    run_pretraining(config, videos, files.directory)
    before = (files.windows / 'index.csv').read_bytes()
    shutil.rmtree(files.windows)
    run_pretraining(config, videos, files.directory)
    assert (files.windows / 'index.csv').read_bytes() == before
    assert write_report(files.directory).exists()


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.pop(name)


STATES: dict[str, Callable[[dict[str, Any]], object]] = {
    **{
        f'no {name}': _without(name)
        for name in ('optimizer_states', 'lr_schedulers', 'loops', 'epoch', 'beast_architecture')
    },
    'weights alone': lambda state: [state.pop(key) for key in list(state) if key != 'state_dict'],
    'another shape': lambda state: state.update(beast_architecture='[]'),
    'a weight less': lambda state: state['state_dict'].popitem(),
    'a weight more': lambda state: state['state_dict'].update(more=torch.zeros(1)),
    'other weights': lambda state: state.update(state_dict={'x': torch.zeros(1)}),
    'no optimiser': lambda state: state['optimizer_states'].clear(),
    'another optimiser': lambda state: state['optimizer_states'][0].update(param_groups=[]),
    'loops as a word': lambda state: state.update(loops='fit'),
}


def test_a_checkpoint_of_something_else_and_a_torn_table_get_a_sentence(
    tiny_config: Callable[..., BeastConfig], videos: list[Path], tmp_path: Path
) -> None:
    config = tiny_config(training={'epochs': 1})
    whole = run_pretraining(config, videos, tmp_path / 'whole').parent
    # one run for all kinds, since it takes seconds
    for number, (kind, change) in enumerate(STATES.items()):
        files = RunFiles(Path(shutil.copytree(whole, tmp_path / str(number))))
        shutil.rmtree(files.backbone)
        state = torch.load(files.last, weights_only=False)
        change(state)
        torch.save(state, files.last)
        before = files.last.read_bytes()
        with pytest.raises(BeastError, match=r'last\.ckpt .*; ') as error:
            run_pretraining(config, videos, files.directory)
            pytest.fail(f'{kind}: accepted')
        assert '\n' not in str(error.value), kind
        assert not files.backbone.exists() and files.last.read_bytes() == before, kind
    files = RunFiles(whole)
    settings, table = files.settings.read_text(), files.metrics.read_text()
    files.settings.write_text(settings.replace('epochs: 1\n', 'epochs: 9\n'))
    assert files.settings.read_text() != settings
    files.metrics.write_text(table.rsplit(',', 3)[0])
    with pytest.raises(BeastError, match=r'metrics\.csv.*; restore'):
        write_report(whole)
