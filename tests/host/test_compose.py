"""Reading pose configs: what is wrong in the file is said before any work begins."""

from pathlib import Path

import pytest

from beast_lp.errors import BeastError
from beast_lp.host.compose import compose_config


@pytest.mark.parametrize(
    'text',
    [
        'beast: ${data.nope}\ndata: {video_dir: videos}\n',
        'beast: {seed: 1}\ndata: {video_dir: "${data.nope}/videos"}\n',
    ],
)
def test_a_name_between_braces_that_leads_nowhere_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text(text)
    with pytest.raises(BeastError, match=r'c\.yaml: .*data\.nope') as error:
        compose_config(file, [])
    assert '\n' not in str(error.value)
    cfg = compose_config(file, ['data.video_dir=/v', '++data.nope={seed: 3}'])
    assert cfg.data.video_dir == '/v'
