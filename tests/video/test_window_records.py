"""By what a finished clip is known again."""

import json
from pathlib import Path

import pytest

from beast_lp.config import AnchorConfig, WindowConfig
from beast_lp.config.retired import RETIRED
from beast_lp.video.window_records import read_record, settings_key

# as the version of November 2026 wrote it, with several settings that have been retired since
OLD_KEY = '9bdd37ee61eefa7c53e9e3c3d301dde0'


def test_a_clip_of_an_older_version_stays_valid() -> None:
    assert (
        settings_key(AnchorConfig(per_video=12), WindowConfig(longest_side=192), 1, 0) == OLD_KEY
    )


def test_the_key_depends_on_what_shapes_a_clip_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    anchors, windows = AnchorConfig(), WindowConfig()
    key = settings_key(anchors, windows, 1, 0)
    same = WindowConfig(processes=3, bbox_dir='boxes')
    assert settings_key(anchors, same, 1, 0) == key
    others = [
        settings_key(AnchorConfig(per_video=7), windows, 1, 0),
        settings_key(anchors, WindowConfig(longest_side=64), 1, 0),
        settings_key(anchors, windows, 2, 0),
        settings_key(anchors, windows, 1, 1),
    ]
    # a setting that is retired later must be entered there, or older clips are built again
    monkeypatch.setitem(RETIRED, 'beast.anchors.gone', 3)
    others.append(settings_key(anchors, windows, 1, 0))
    assert len({key, *others}) == 6


@pytest.mark.parametrize('frame', ['x', 10**30, None, [1], 1.5e300])
def test_a_record_with_a_number_that_is_none_is_no_record(frame: object, tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'anchors': {'frame': [frame], 'clip': [0], 'window': [0]}}))
    assert read_record(path) is None
    path.write_text('[' * 100_000)
    assert read_record(path) is None
