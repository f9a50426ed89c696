r"""What the preset `continue` brings: a backbone of one recording, adapted to another.

    python integration_tests/evidence/continued.py --backbone RUN/backbone --recording mouse \
        --output DIRECTORY

Prints the error of keypoints read from frozen features (as in `readout.py`) on the recording: of
the backbone as it is, and after a sixth of the steps of `laptop` on the recording's own videos.
`ablation.py` has the error of a whole `laptop` run from random weights.
"""

import argparse
from pathlib import Path

import pandas as pd
from budget import BUDGETS
from omegaconf import OmegaConf
from readout import readout_scores
from recordings import PROJECTS, RECORDINGS
from tasks import LABELS

from beast_lp.config import parse_config
from beast_lp.config.presets import CONTINUE
from beast_lp.host.jobs.pretrain import take_sizes
from beast_lp.pretraining.run_files import RunFiles
from beast_lp.pretraining.stage import run_pretraining


def main() -> None:
    """Continue the backbone unless that is done, and print a row per number of labels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--backbone', type=Path, required=True)
    parser.add_argument('--recording', choices=PROJECTS, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=0, help='of training and of the draws')
    args = parser.parse_args()
    files = RunFiles(args.output.absolute())
    if not files.backbone.exists():
        settings = {
            'preset': CONTINUE,
            'init': str(args.backbone.absolute()),
            'seed': args.seed,
            'training': {'loader': 'pyav'},
        }
        cfg = OmegaConf.create({'beast': settings})
        take_sizes(cfg)
        run_pretraining(parse_config(cfg.beast), RECORDINGS[args.recording], files.directory)
    project, budget = PROJECTS[args.recording], BUDGETS['laptop']
    rows = [
        {
            'labels': labels,
            'backbone': name,
            'error_px': readout_scores(project, path, labels, args.seed, budget)['score'],
        }
        for labels in LABELS
        for name, path in (('as it is', args.backbone), ('continued', files.backbone))
    ]
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == '__main__':
    main()
