"""`litpose embed`: features of every frame of some videos."""

import argparse
import logging
from pathlib import Path
from typing import Any

from beast_lp.host.arguments import name_guides

logger = logging.getLogger(f'lightning_pose.{__name__}')

PCA_COMPONENTS = 100


def register_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the host's parser."""
    parser = subparsers.add_parser(
        'embed',
        description='Write the features of every frame of some videos: one folder of numpy files '
        'per video, for `litpose encode` and `litpose segment` and for your own analyses. A run '
        'that was interrupted is resumed by the same command.',
        usage='litpose embed <source> <videos...> \\\n'
        '                      [--output_dir OUTPUT_DIR] [--stride N] \\\n'
        '                      [--patches [--patch_grid N] [--patch_dim D]] ...',
    )
    parser.add_argument(
        'source',
        help='what makes the features: the output directory of `litpose pretrain` or its '
        'backbone/, a weight file, a trained pose model, a backbone that Lightning Pose can build '
        '(resnet50, vits_dino, ...), the name of a ViT on a model hub (facebook/vit-mae-base), '
        '`pca` (principal components of the frames) or a frame_pca.npz that it wrote',
    )
    parser.add_argument('videos', nargs='+', type=Path, help='files, or folders of them')
    parser.add_argument(
        '--output_dir',
        type=Path,
        help='gets one folder per video; default: ./features/{name of the source}',
    )
    parser.add_argument(
        '--batch_size',
        type=int,
        default=32,
        help='frames encoded at once (default: %(default)s)',
    )
    parser.add_argument(
        '--stride',
        type=int,
        default=1,
        help='take every N-th frame of a video (default: %(default)s)',
    )
    parser.add_argument(
        '--patches',
        action='store_true',
        help='store the patch features too, in raster order, as float16',
    )
    parser.add_argument(
        '--patch_grid',
        type=int,
        metavar='N',
        help='average the patches to N along the longer side, for example 7',
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
        help='px to which frames are scaled; default: what the source was trained at, and of '
        '`pca` 64 64',
    )
    parser.add_argument(
        '--precision',
        choices=('auto', 'fp32', 'bf16'),
        default='auto',
        help='auto: bf16 where the hardware computes in it (default)',
    )
    parser.add_argument(
        '--pca_components',
        type=int,
        metavar='N',
        help=f'features of the source `pca` (default: {PCA_COMPONENTS})',
    )
    parser.add_argument(
        '--bbox_dir',
        type=Path,
        help='folder of <video>_bbox.csv files, as `litpose predict` takes it; frames are cropped '
        'to the boxes first',
    )
    name_guides(parser)
    return parser


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for this command alone, for documentation."""
    parser = argparse.ArgumentParser(prog='litpose')
    return register_parser(parser.add_subparsers(dest='command'))


def handle(args: argparse.Namespace) -> None:
    """Run the command."""
    # late: these take seconds, and the command line imports every command
    from beast_lp.errors import BeastError
    from beast_lp.features.extract import ExtractionSettings, extract_features
    from beast_lp.features.pca import FRAME_PCA_NAME, FramePCA, frame_pca
    from beast_lp.host.jobs.sources import open_source
    from beast_lp.video.read import find_videos

    settings = ExtractionSettings(
        batch_size=args.batch_size,
        stride=args.stride,
        patches=args.patches,
        patch_grid=args.patch_grid,
        patch_dim=args.patch_dim,
        bbox_dir=args.bbox_dir,
    )
    if args.image_size and min(args.image_size) < 1:
        raise BeastError(f'--image_size must be at least 1, found {min(args.image_size)}')
    size = (args.image_size[0], args.image_size[1]) if args.image_size else None
    videos = find_videos(args.videos)
    output_dir = args.output_dir or Path('features', Path(args.source).absolute().stem)
    output_dir = output_dir.absolute()
    if args.source == 'pca':
        _check_frame_pca(args)
        components = PCA_COMPONENTS if args.pca_components is None else args.pca_components
        if components < 1:
            raise BeastError(f'--pca_components must be at least 1, found {components}')
        source = frame_pca(output_dir / FRAME_PCA_NAME, videos, components, size)
    elif args.pca_components is not None:
        raise BeastError(
            f'--pca_components is for the source `pca`, found {args.source}; leave it out'
        )
    else:
        source = open_source(args.source, size, args.precision)
        if isinstance(source, FramePCA):
            _check_frame_pca(args)
    extract_features(source, videos, output_dir, settings)
    logger.info(f'beast: the features are in {output_dir}')


def _check_frame_pca(args: argparse.Namespace) -> None:
    from beast_lp.errors import BeastError

    if args.bbox_dir or args.patches:
        given = [f'--{name}' for name in ('bbox_dir', 'patches') if getattr(args, name)]
        raise BeastError(
            f'frame PCA takes whole frames and has no patches; leave out {" and ".join(given)}'
        )
