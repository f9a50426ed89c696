"""Bars on a terminal, lines elsewhere."""

import io
import logging
import sys

import pytest
from tqdm import tqdm

from beast_lp.runs.progress import ProgressLines, progress_bar


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_sees_a_bar_and_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {'desc': 'videos', 'unit': 'video', 'total': 3}
    monkeypatch.setattr(sys, 'stderr', _Terminal())
    with progress_bar(range(3), **options) as bar:  # type: ignore[arg-type]
        assert isinstance(bar, tqdm) and list(bar) == [0, 1, 2]
    assert '3/3' in sys.stderr.getvalue()  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    with progress_bar(range(3), **options) as lines:  # type: ignore[arg-type]
        assert isinstance(lines, ProgressLines) and list(lines) == [0, 1, 2]
    assert sys.stderr.getvalue() == ''  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ('total', 'said'),
    [
        (200, 'beast: mouse.mp4: 60 of 200 frames, about 2 min left'),
        (None, 'beast: mouse.mp4: 60 frames'),
        (50, 'beast: mouse.mp4: 60 frames'),
    ],
)
def test_there_is_a_line_a_minute(
    total: int | None,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seconds = iter(range(1000))
    lines = ProgressLines((), 'mouse.mp4', 'frame', total, clock=lambda: float(next(seconds)))
    with caplog.at_level(logging.INFO, 'lightning_pose'):
        for _ in range(130):
            lines.update()
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == said


def test_a_resumed_piece_of_work_counts_what_is_done(caplog: pytest.LogCaptureFixture) -> None:
    seconds = iter(range(0, 1000, 10))
    lines = ProgressLines(
        (), 'fold 1', 'epoch', 30, initial=20, clock=lambda: float(next(seconds))
    )
    lines.set_postfix_str('loss 0.125')
    with caplog.at_level(logging.INFO, 'lightning_pose'):
        for _ in range(6):
            lines.update()
    # six epochs in a minute, four to come
    assert caplog.messages == ['beast: fold 1: 26 of 30 epochs, about 40 s left (loss 0.125)']
