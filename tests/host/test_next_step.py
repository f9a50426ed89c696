"""The command that trains a pose model is spelled alike wherever it is named."""

import re
from pathlib import Path

from beast_lp.host.next_step import train_command
from beast_lp.host.pose_optimizer import suitable_learning_rate
from beast_lp.host.spelling import small_number

ROOT = Path(__file__).parents[2]


def _words(text: str) -> str:
    return ' '.join(text.replace('\\\n', ' ').split())


def test_pages_have_the_command_that_a_run_prints() -> None:
    commands = {
        train_command('my_config.yaml', 'my_backbone', 'my_model', rate)
        for rate in (None, *map(suitable_learning_rate, (192, 768)))
    }
    pages = [ROOT / 'README.md', *(ROOT / 'beast_lp' / 'guides').glob('*.md')]
    blocks = [
        _words(command)
        for page in pages
        for command in re.findall(
            r'^litpose train my_config\.yaml --output_dir my_model (?:.*\\\n)*.*$',
            page.read_text(encoding='utf-8'),
            re.MULTILINE,
        )
    ]
    assert len(blocks) >= 2
    assert set(blocks) <= {_words(command) for command in commands}


def test_the_rates_of_pages_and_configs_are_those_that_suit() -> None:
    small, large = (small_number(suitable_learning_rate(width)) for width in (192, 768))
    text = (ROOT / 'beast_lp' / 'guides' / 'existing_project.md').read_text(encoding='utf-8')
    assert re.search(rf'learning_rate: {large}\s+# {small} with the presets laptop', text)


def test_lines_fit_and_every_path_is_quoted_for_hydra_and_the_shell() -> None:
    command = train_command('a b.yaml', 'mein Käfig/it=1', 'm', 5e-4, ['++data.num_keypoints=2'])
    first, *more = command.split(' \\\n')
    assert first == "litpose train 'a b.yaml' --output_dir m"
    assert all(len(line) < 98 and line.startswith('    ') for line in more)
    assert """backbone_checkpoint='"'"'mein Käfig/it=1'"'"''""" in command
    assert command.endswith('++training.optimizer_params.learning_rate=5e-4')
