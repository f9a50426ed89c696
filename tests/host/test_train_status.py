"""The host's status file, of which a damaged one must not end a run."""

import json
from pathlib import Path

import pytest

from beast_lp.host.train_status import NAME, is_completed, mark_completed, mark_training


def test_what_the_host_wrote_stays(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"status": "TRAINING", "pid": 7}')
    assert not is_completed(tmp_path)
    mark_completed(tmp_path / NAME)
    assert is_completed(tmp_path)
    assert json.loads((tmp_path / NAME).read_text()) == {'status': 'COMPLETED', 'pid': 7}


@pytest.mark.parametrize('content', [b'', b'{"sta', b'[]', b'7', b'\xff\xfe'])
def test_a_damaged_status_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert not is_completed(tmp_path)
    mark_training(tmp_path / NAME)
    assert json.loads((tmp_path / NAME).read_text())['status'] == 'TRAINING'
