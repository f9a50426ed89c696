"""Options of `litpose segment`."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.host.commands import segment as command


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['train', '--videos', 'a.mp4'], '--videos is for `litpose segment predict or evaluate`'),
        (['train', '--model_dir', 'm'], '--model_dir is for .* found train'),
        (
            ['evaluate', '--model_dir', 'm', '--nwb'],
            '--nwb is for `litpose segment predict`, found',
        ),
        (['evaluate', '--model_dir', 'm', '--clip_seconds', '3'], '--clip_seconds is for'),
        *(
            (['predict', '--model_dir', 'm', f'--clip_seconds={value}'], f'finite, found {value}')
            for value in ('nan', 'inf', '-1')
        ),
        (['predict'], 'predict needs --model_dir'),
    ],
)
def test_an_option_of_another_action_is_refused(
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    config = tmp_path / 'c.yaml'
    config.touch()
    args = command.get_parser().parse_args([arguments[0], str(config), *arguments[1:]])
    with pytest.raises(BeastError, match=words):
        command.handle(args)
