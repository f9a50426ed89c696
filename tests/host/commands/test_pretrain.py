"""`litpose pretrain` as the command line hands it over."""

import argparse
import os
from pathlib import Path

import pytest
from omegaconf import DictConfig

from beast_lp.host.commands import pretrain
from beast_lp.host.jobs import pretrain as job


def _arguments(config_file: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    pretrain.register_parser(parser.add_subparsers())
    return parser.parse_args(['pretrain', str(config_file)])


def test_children_write_where_the_main_process_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'a.mp4').touch()
    (tmp_path / 'c.yaml').write_text(f'data: {{video_dir: {tmp_path}}}\nbeast: {{}}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('BEAST_LP_OUTPUT_DIR', raising=False)
    monkeypatch.setattr(job, 'mark_completed', lambda file: None)
    chosen: list[Path] = []

    def run(cfg: DictConfig, output_dir: Path, status_file: Path, **_: object) -> Path:
        chosen.append(output_dir)
        if len(chosen) == 1:
            # Lightning starts a child by the same command, here a day later
            monkeypatch.setattr('beast_lp.host.arguments.datetime', _Tomorrow)
            pretrain.handle(_arguments(tmp_path / 'c.yaml'))
        return output_dir

    monkeypatch.setattr(job, 'pretrain', run)
    pretrain.handle(_arguments(tmp_path / 'c.yaml'))
    assert len(chosen) == 2 and chosen[0] == chosen[1]
    assert chosen[0].is_relative_to(tmp_path / 'outputs')
    assert 'BEAST_LP_OUTPUT_DIR' not in os.environ


class _Tomorrow:
    """Stands in for the module `datetime`."""

    class datetime:
        """Stands in for the class."""

        @staticmethod
        def now() -> '_Tomorrow':
            """Return a later time."""
            return _Tomorrow()

    def strftime(self, template: str) -> str:
        """Return a later date."""
        return 'tomorrow/noon'
