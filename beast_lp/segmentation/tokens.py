"""Tokens of a ViT for every frame of a video, in a feature store: what the head is trained on.

Where the last layers are trained too, the store holds what goes into them (all tokens, CLS first),
so that the video is decoded once and not once per epoch.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from beast_lp.config import ModelConfig
from beast_lp.errors import BeastError
from beast_lp.features.store import FeatureInfo, FeatureStore
from beast_lp.features.writer import FeatureWriter
from beast_lp.pretraining.augmentation import normalise, to_unit
from beast_lp.pretraining.model import MaskedAutoencoder, load_encoder, patchify
from beast_lp.pretraining.weights import Encoder, read_encoder
from beast_lp.video.read import PictureConverter, PictureReader, count_frames
from beast_lp.video.records import source_key

logger = logging.getLogger(f'lightning_pose.{__name__}')

_BATCH = 64


class Tail(nn.Module):
    """The last layers of a ViT: hidden tokens to patch tokens."""

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module) -> None:
        """Take over layers and the final norm."""
        super().__init__()
        self.blocks, self.norm = blocks, norm

    def forward(
        self, tokens: Float[Tensor, 'frames tokens dim'],
    ) -> Float[Tensor, 'frames patches dim']:
        """Encode further, and leave CLS out at the end."""
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:]


class TokenSource:
    """A frozen ViT that turns frames into vectors, patch tokens or hidden tokens.

    Attributes:
        info: what a store of these tokens says of its source; the video's part is empty.
    """

    def __init__(self, checkpoint: str, grid: int | None, unfreeze: int = 0) -> None:
        """Read the weights.

        Args:
            checkpoint: as for `model.backbone_checkpoint`.
            grid: patches are averaged to so many along height and width; None keeps all.
            unfreeze: last layers to leave out; what goes into them is stored, unaveraged.

        Raises:
            BeastError: if there are no weights, or fewer layers.
        """
        self.encoder = read_encoder(checkpoint)
        architecture = self.encoder.architecture
        if unfreeze > architecture.num_layers:
            raise BeastError(
                f'beast.segmentation.fitting.unfreeze_layers={unfreeze}, but {checkpoint} has '
                f'{architecture.num_layers} layers; lower it'
            )
        self._device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self._model = build_vit(self.encoder).to(self._device).eval()
        self._unfreeze = unfreeze
        rows, columns = architecture.grid
        self._grid = (rows, columns) if grid is None else (min(grid, rows), min(grid, columns))
        self.info = FeatureInfo(
            video='', source=str(checkpoint),
            source_kind='vit' if not unfreeze else f'vit without its last {unfreeze} layers',
            source_hash=weights_hash(self.encoder), dim=architecture.hidden_size,
            image_size=architecture.image_size,
            # hidden tokens are CLS and the patches, in one row
            grid=(1, 1 + rows * columns) if unfreeze else self._grid,
            patch_dim=architecture.hidden_size,
        )

    def tail(self) -> Tail:
        """Build the layers that were left out, with their pretrained weights."""
        model = build_vit(self.encoder)
        return Tail(model.blocks[len(model.blocks) - self._unfreeze:], model.norm)

    @torch.inference_mode()
    def embed(
        self, frames: UInt8[np.ndarray, 'frames height width 3'],
    ) -> tuple[Float[np.ndarray, 'frames dim'], Float[np.ndarray, 'frames tokens dim']]:
        """Return CLS, and the averaged patch tokens or the hidden tokens."""
        model = self._model
        images = normalise(to_unit(torch.from_numpy(frames).to(self._device)))
        size = self.encoder.architecture.patch_size
        patches = model.embed(patchify(images, size)) + model.positions[:, 1:]
        cls = (model.cls_token + model.positions[:, :1]).expand(len(images), -1, -1)
        x = torch.cat([cls, patches], dim=1)
        for block in model.blocks[:len(model.blocks) - self._unfreeze]:
            x = block(x)
        if self._unfreeze:
            return x[:, 0].cpu().numpy(), x.cpu().numpy()
        x = model.norm(x)
        rows, columns = self.encoder.architecture.grid
        maps = x[:, 1:].transpose(1, 2).unflatten(2, (rows, columns))
        pooled = functional.adaptive_avg_pool2d(maps, self._grid).flatten(2).transpose(1, 2)
        return x[:, 0].cpu().numpy(), pooled.cpu().numpy()


def build_vit(encoder: Encoder) -> MaskedAutoencoder:
    """Build a ViT of the encoder's shape that holds its weights, without a decoder."""
    shape = encoder.architecture
    model = MaskedAutoencoder(
        ModelConfig(
            image_size=list(shape.image_size), patch_size=shape.patch_size,
            hidden_size=shape.hidden_size, num_layers=shape.num_layers, num_heads=shape.num_heads,
            mlp_size=shape.mlp_size,
        ),
        decoder=False,
    )
    load_encoder(model, encoder)
    return model


def weights_hash(encoder: Encoder) -> str:
    """Return a name for the weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(encoder.state):
        digest.update(encoder.state[name].float().numpy().tobytes())
    return digest.hexdigest()[:16]


def ensure_tokens(video: Path, directory: Path, source: TokenSource) -> FeatureStore:
    """Open the tokens of a video; compute them first, or the rest of them, where they are missing.

    Args:
        video: the file.
        directory: of the store.
        source: of the tokens.

    Raises:
        BeastError: if the store is of other weights or settings, or the video is damaged.
    """
    if directory.exists():
        store = FeatureStore.open(directory)
        for name in ('source_hash', 'grid', 'source_kind'):
            was, now = getattr(store.info, name), getattr(source.info, name)
            if was != now:
                raise BeastError(
                    f'{directory} holds features with another {name} ({was}, wanted {now}); '
                    'delete the folder, or give another --output_dir'
                )
        return store
    directory.parent.mkdir(parents=True, exist_ok=True)
    reader = PictureReader(video)
    fps = reader.info.fps
    info = replace(
        source.info, video=str(video), video_key=source_key(video, None),
        width=reader.info.width, height=reader.info.height, fps=fps if fps > 0 else None,
    )
    with FeatureWriter(directory, info) as writer:
        for start, frames, times in _frames(reader, info, writer.rows):
            cls, patches = source.embed(frames)
            ordinals = np.arange(start, start + len(frames))
            writer.append(cls, ordinals, times, patches)
        writer.finish(reader.frames_read, reader.error)
    if reader.error:
        logger.warning(f'{video}: {reader.error}; the frames that decode are used')
    return FeatureStore.open(directory)


def _frames(
    reader: PictureReader, info: FeatureInfo, skip: int,
) -> Iterator[tuple[int, UInt8[np.ndarray, 'frames height width 3'], np.ndarray]]:
    """Yield batches of frames with the number of their first one, and their times in s."""
    assert info.image_size is not None
    convert = PictureConverter('rgb24')
    frames: list[np.ndarray] = []
    times: list[float] = []
    origin: float | None = None
    bar = tqdm(reader, f'embedding {reader.info.path.stem}', count_frames(reader.info.path))
    for ordinal, picture in enumerate(bar):
        moment = _moment(picture, ordinal, info)
        origin = moment if origin is None else origin
        if ordinal < skip:
            continue
        frames.append(convert(picture, info.image_size, ordinal))
        times.append(moment - origin)
        if len(frames) == _BATCH:
            yield ordinal + 1 - _BATCH, np.stack(frames), np.array(times)
            frames, times = [], []
    if frames:
        yield reader.frames_read - len(frames), np.stack(frames), np.array(times)


def _moment(picture: av.VideoFrame, ordinal: int, info: FeatureInfo) -> float:
    return picture.time if picture.time is not None else ordinal / (info.fps or 1.0)
