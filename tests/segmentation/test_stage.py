"""What is refused before a segmentation run."""

from dataclasses import replace
from pathlib import Path

import pytest

from beast_lp.config import SegmentationConfig
from beast_lp.config.segmentation import FittingConfig
from beast_lp.errors import BeastError
from beast_lp.segmentation.sessions import Inputs
from beast_lp.segmentation.stage import (
    Description,
    SegmentationFiles,
    check_output_dir,
    load_trained,
    settings_yaml,
)

INPUTS = Inputs([Path('a.mp4')], [], Path('behavior'), None, None, None)


def test_an_unfinished_run_with_other_settings_is_not_continued(tmp_path: Path) -> None:
    files, config = SegmentationFiles(tmp_path), SegmentationConfig()
    check_output_dir(files, config, INPUTS)
    files.settings.write_text(settings_yaml(config, INPUTS))
    often = FittingConfig(checkpoint_minutes=1)
    check_output_dir(files, replace(config, fitting=often), INPUTS)
    for changed, inputs, words in (
        (replace(config, fitting=FittingConfig(epochs=3)), INPUTS,
         'segmentation.fitting.epochs was 200 and is now 3'),
        (config, replace(INPUTS, videos=[Path('a.mp4'), Path('b.mp4')]),
         r"videos was .'a.mp4'. and is now .'a.mp4', 'b.mp4'."),
    ):
        with pytest.raises(BeastError, match=words):
            check_output_dir(files, changed, inputs)


def test_the_description_of_the_models_survives_and_damage_is_said(tmp_path: Path) -> None:
    path = SegmentationFiles(tmp_path).model
    description = Description(
        ('walk', 'rest'), (4, 3), 'x', None, 'weights', (('fold_0', 0), ('fold_0', 1))
    )
    path.write_text(description.to_json())
    assert Description.read(path) == description
    for text in ('', '[]', '{}', description.to_json()[:-9], '{"classes": 3}',
                 description.to_json().replace('"made_by"', '"maker"')):
        path.write_text(text)
        with pytest.raises(BeastError, match=r'segmenter.json does not describe .*train again'):
            load_trained(tmp_path, lambda name: pytest.fail('opened a source'))
