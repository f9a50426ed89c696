"""`litpose embed`: write the features of every frame of videos."""

import argparse
from pathlib import Path
from typing import Any

from beast_lp.errors import BeastError
from beast_lp.host.arguments import name_guides, parser_of
from beast_lp.host.names import RANDOM, is_random
from beast_lp.host.waiting import wait_passively
from beast_lp.runs.names import name_of

# features of the source `pca`, unless --pca_components says otherwise
PCA_COMPONENTS = 100
MOST_COMPONENTS = 10_000
# px
MOST_SIDE = 8192


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'embed',
        help='beast-lp: write the features of every frame',
        description='Write the features of every frame of videos: one folder of numpy files per '
        'video, for `litpose encode`, `litpose segment` and your own analyses. The same command '
        'resumes an interrupted run.',
        usage='litpose embed <source> <videos...> \\\n'
        '                      [--output_dir OUTPUT_DIR] [--stride N] \\\n'
        '                      [--patches [--patch_grid N] [--patch_dim D]] ...',
    )
    parser.add_argument(
        'source',
        help='what computes the features: the output directory of `litpose pretrain` or its '
        'backbone/, a weight file, a trained pose model, a backbone that Lightning Pose can build '
        '(resnet50, vits_dino, ...), the name of a ViT on a model hub (facebook/vit-mae-base), '
        '`pca` (principal components of the frames) or a frame_pca.npz that it wrote, and as '
        'baselines `motion` (motion energy) and `random` or random:PRESET (a ViT with random '
        'weights, such as random:laptop)',
    )
    parser.add_argument('videos', nargs='+', type=Path, help='video files, or folders of them')
    parser.add_argument(
        '--output_dir',
        type=Path,
        help='holds one folder per video; default: ./features/{name of the source}',
    )
    parser.add_argument(
        '--batch_size',
        type=int,
        default=32,
        help='frames per batch (default: %(default)s)',
    )
    parser.add_argument(
        '--stride',
        type=int,
        default=1,
        help='encode every N-th frame of a video (default: %(default)s)',
    )
    parser.add_argument(
        '--patches',
        action='store_true',
        help='also store the patch features, in raster order, as float16',
    )
    parser.add_argument(
        '--patch_grid',
        type=int,
        metavar='N',
        help='average the patches to N along the longer side, such as 7',
    )
    parser.add_argument(
        '--patch_dim',
        type=int,
        metavar='D',
        help='keep the first D principal components of the patches',
    )
    parser.add_argument(
        '--image_size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='size in px to which frames are scaled; default: that of the training of the '
        'source, and 64 64 for `pca`',
    )
    parser.add_argument(
        '--precision',
        choices=('auto', 'fp32', 'bf16'),
        default='auto',
        help='auto: bf16 where the hardware supports it (default)',
    )
    parser.add_argument(
        '--pca_components',
        type=int,
        metavar='N',
        help=f'number of features of the source `pca` (default: {PCA_COMPONENTS})',
    )
    parser.add_argument(
        '--bbox_dir',
        type=Path,
        help='folder of <video>_bbox.csv files, as `litpose predict` takes them; frames are '
        'cropped to the boxes; `auto` makes boxes around what moves, in boxes/ of the output '
        'directory',
    )
    name_guides(parser, 'spikes_and_behaviour.md')
    return parser


get_parser = parser_of(register_parser)


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    wait_passively()
    from beast_lp.features.settings import ExtractionSettings
    from beast_lp.host.jobs.embed import embed
    from beast_lp.runs.directory import check_output_dir

    _check_options(args)
    settings = ExtractionSettings(
        batch_size=args.batch_size,
        stride=args.stride,
        patches=args.patches,
        patch_grid=args.patch_grid,
        patch_dim=args.patch_dim,
        bbox_dir=args.bbox_dir,
    )
    output_dir = args.output_dir or Path('features', _default_name(args.source))
    check_output_dir(output_dir.absolute())
    embed(
        args.source,
        args.videos,
        output_dir.absolute(),
        settings,
        image_size=tuple(args.image_size) if args.image_size else None,
        precision=args.precision,
        pca_components=PCA_COMPONENTS if args.pca_components is None else args.pca_components,
    )


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        BeastError: naming the option.
    """
    from beast_lp.features.settings import check_option

    for side in args.image_size or ():
        check_option('image_size', side, MOST_SIDE)
    if args.pca_components is None:
        return
    if args.source != 'pca':
        raise BeastError(
            f'--pca_components is for the source `pca`, found {args.source}; leave it out'
        )
    check_option('pca_components', args.pca_components, MOST_COMPONENTS)


def _default_name(source: str) -> str:
    """Return the name of the folder of features: that of the source, a path or a backbone."""
    if is_random(source):
        like = source.partition(':')[2]
        return f'{RANDOM}_{_default_name(like)}' if like else RANDOM
    path = Path(source).expanduser().absolute()
    return name_of(path) if path.exists() else path.name
