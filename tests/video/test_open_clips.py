"""Clips that a process keeps open."""

import os
from pathlib import Path

import pytest

from beast_lp.video import open_clips
from beast_lp.video.open_clips import OpenClip, OpenClips


class _Clip(OpenClip):
    """A clip without a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_the_clip_not_used_for_longest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clips, 'OPEN_CLIPS', 2)
    opened: list[_Clip] = []

    def open_clip(path: Path) -> _Clip:
        opened.append(_Clip(path))
        return opened[-1]

    clips = OpenClips(Path('/store'), open_clip)
    for name in ('0', '1', '0', '2', '1', '1', '3', '1', '0'):
        assert clips[name].path == Path('/store', name)
        assert not clips[name].closed
        assert sum(not clip.closed for clip in opened) <= 2
    # 0 stays while it is used, 1 is closed for 2, and so on
    assert [clip.path.name for clip in opened] == ['0', '1', '2', '1', '3', '0']


def test_a_forked_process_opens_clips_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = OpenClips(Path('/store'), _Clip)
    first = clips['a']
    assert clips['a'] is first
    child = os.getpid() + 1
    monkeypatch.setattr(os, 'getpid', lambda: child)
    other = clips['a']
    assert other is not first
    assert clips['a'] is other
    # the parent goes on to use its own
    assert not first.closed
