"""The Lightning module: one training step is a function of (weights, batch, step) alone."""

from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from beast_lp.config import BeastConfig
from beast_lp.pretraining.augmentation import augment, draw_geometry
from beast_lp.pretraining.checkpoints import diverged
from beast_lp.pretraining.distributed import (
    BatchNorm,
    gather_over_ranks,
    global_rank,
    sum_over_ranks,
    world_size,
)
from beast_lp.pretraining.losses import (
    info_nce,
    nearest_frame,
    reconstruction_loss,
    retrieval_accuracy,
    temporal_neighbours,
)
from beast_lp.pretraining.pairs import Frames
from beast_lp.runs.seeds import torch_generator
from beast_lp.vit.model import MaskedAutoencoder
from beast_lp.vit.optimiser import parameter_groups, peak_learning_rate, schedule_factor
from beast_lp.vit.pixels import network_input
from beast_lp.vit.safe_load import ARCHITECTURE_KEY
from beast_lp.vit.weights import Architecture

# a learned temperature stays above this (CLIP, Radford et al. 2021, section 2.5)
_LEAST_TEMPERATURE = 0.01


class BeastModule(LightningModule):
    """Masked autoencoder and projection head with the BEAST objective."""

    def __init__(self, config: BeastConfig) -> None:
        """Build the model at random; `config.init` is the stage's business."""
        super().__init__()
        self.config = config
        self.model = MaskedAutoencoder(config.model, decoder=config.loss.reconstruction_weight > 0)
        self.model.checkpointing = config.training.gradient_checkpointing
        self.projection = None
        self.log_temperature = None
        if config.loss.contrastive_weight > 0:
            self.projection = projection_head(
                config.model.hidden_size, config.loss.projection_layers
            )
            if config.loss.learn_temperature:
                self.log_temperature = nn.Parameter(torch.tensor(config.loss.temperature).log())
        # of the schedule; the stage sets it. Lightning's own estimate would start the loader
        # before a resumed run has told it where to go on.
        self.total_steps = 1
        # of each validation batch: what retrieval compares, by the name of the measure
        self._held_out: list[dict[str, Tensor]] = []

    def training_step(
        self,
        batch: Frames,
        batch_index: int,
    ) -> Float[Tensor, '']:
        """Augment, mask, reconstruct, contrast."""
        key = (self.config.seed, 'step', self.current_epoch, batch_index)
        images = self._augment(batch.pixels, key)
        noise = mask_noise(len(batch.pixels), self.config.model.num_patches, key)
        losses, _ = self._losses(images, noise, self._excluded(batch))
        if not torch.isfinite(losses['loss']):
            raise diverged(f'the loss became {losses["loss"].item()}', self.global_step)
        # averaged here and not by `sync_dist`, which waits for all processes whenever one of them
        # reads an epoch's metrics
        self.log_dict(
            {
                f'train_{name}': sum_over_ranks(value.detach()) / world_size()
                for name, value in losses.items()
            },
            on_step=True,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(batch.pixels),
        )
        if self.log_temperature is not None:
            self.log(
                'train_temperature',
                torch.as_tensor(self.temperature).detach(),
                on_step=True,
                on_epoch=True,
                batch_size=len(batch.pixels),
            )
        return losses['loss']

    def validation_step(
        self,
        batch: Frames,
        batch_index: int,
    ) -> None:
        """Compute the same losses on held-out frames, without augmentation, with fixed masks."""
        images = network_input(batch.pixels).transpose(0, 1).flatten(0, 1)
        # every process validates on all held-out frames, so it draws for itself alone
        key = (self.config.seed, 'validation', batch_index)
        noise = mask_noise(len(batch.pixels), self.config.model.num_patches, key, 0, 1)
        losses, vectors = self._losses(images, noise, self._excluded(batch))
        self.log_dict(
            {f'val_{name}': value for name, value in losses.items()},
            batch_size=len(batch.pixels),
        )
        self._held_out.append({name: value.float().cpu() for name, value in vectors.items()})

    def on_validation_epoch_end(self) -> None:
        """Look up every held-out anchor's positive among all held-out frames."""
        batches, self._held_out = self._held_out, []
        for name in batches[0]:
            parts = zip(*(batch[name].chunk(2) for batch in batches), strict=True)
            anchors, positives = (torch.cat(part) for part in parts)
            self.log(f'val_{name}', retrieval_accuracy(nearest_frame(anchors, positives)))
        pairs = sum(len(batch['retrieval']) for batch in batches) // 2
        self.log('val_retrieval_chance', 1 / (2 * pairs - 1))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the encoder's shape, so that the file can serve as initial weights by itself."""
        checkpoint[ARCHITECTURE_KEY] = self.model.architecture.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what the initial weights brought along and no tensor holds."""
        shape = Architecture.from_json(checkpoint[ARCHITECTURE_KEY])
        self.model.set_layer_norm_eps(shape.layer_norm_eps)

    def configure_optimizers(self) -> Any:
        """Build AdamW with warm-up and cosine, stepped per step."""
        training = self.config.training
        frames = training.batch_size * self.trainer.world_size * training.accumulate
        peak = peak_learning_rate(training.learning_rate, frames)
        optimizer = torch.optim.AdamW(
            parameter_groups(self, training.weight_decay),
            lr=peak,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: schedule_factor(
                step,
                self.total_steps,
                training.warmup_fraction,
                training.floor_fraction,
            ),
        )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }

    @property
    def temperature(self) -> Float[Tensor, ''] | float:
        """What divides the cosines: the setting, or what has been learned from it."""
        if self.log_temperature is None:
            return self.config.loss.temperature
        return self.log_temperature.exp().clamp(min=_LEAST_TEMPERATURE)

    def _augment(
        self,
        pixels: UInt8[Tensor, 'pairs 2 height width 3'],
        key: tuple[int | str, ...],
    ) -> Float[Tensor, 'frames 3 out_height out_width']:
        """Return normalised images, all anchors and then all positives."""
        settings, size = self.config.augmentation, self.model.architecture.image_size
        frames = pixels.transpose(0, 1).flatten(0, 1)
        # one draw for the joined batch of all processes, of which each takes its pairs
        pairs, draw = len(pixels) * world_size(), torch_generator(*key, 'geometry')
        if settings.shared_geometry:
            maps = draw_geometry(pairs, size, settings, draw).repeat(2, 1, 1)
        else:
            maps = draw_geometry(2 * pairs, size, settings, draw)
        maps = maps.unflatten(0, (2, pairs))[:, global_rank() :: world_size()].flatten(0, 1)
        return augment(frames, maps, size)

    def _excluded(self, batch: Frames) -> Bool[Tensor, 'frames frames'] | None:
        """Return which frames are too close in time to be each other's negatives."""
        within = self.config.pairs.exclude_within
        if within == 0:
            return None
        video, time = batch.video, batch.time
        if self._gathers:
            video, time = gather_over_ranks(video), gather_over_ranks(time)
        return temporal_neighbours(video.T.flatten(), time.T.flatten(), within)

    @property
    def _gathers(self) -> bool:
        """Whether the frames of other processes are negatives; never in validation."""
        return self.config.loss.gather_negatives and self.training

    def _losses(
        self,
        images: Float[Tensor, 'frames 3 height width'],
        noise: Float[Tensor, 'frames patches'],
        excluded: Bool[Tensor, 'all_frames all_frames'] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Float[Tensor, 'frames dim']]]:
        """Return the losses by name, and what two measures of retrieval compare.

        `retrieval` is by what the loss compares (projections, else CLS), `cls_retrieval` by CLS,
        so that runs with and without a contrastive term can be compared.
        """
        settings = self.config.loss
        output = self.model(images, noise.to(images.device))
        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=images.device)
        if output.prediction is not None:
            losses['reconstruction'] = reconstruction_loss(
                output.prediction, output.target, settings.norm_pix_loss
            )
            total = total + settings.reconstruction_weight * losses['reconstruction']
        queries = output.cls
        if self.projection is not None:
            queries = self.projection(output.cls)
            losses['contrastive'] = self._contrast(queries, excluded)
            total = total + settings.contrastive_weight * losses['contrastive']
        vectors = {'retrieval': queries.detach(), 'cls_retrieval': output.cls.detach()}
        return {'loss': total, **losses}, vectors

    def _contrast(
        self,
        projections: Float[Tensor, 'frames dim'],
        excluded: Tensor | None,
    ) -> Float[Tensor, '']:
        """Return InfoNCE of this process's pairs among its own frames, or among everyone's."""
        anchors, positives = projections.chunk(2)
        own = slice(0, len(anchors))
        if self._gathers:
            first = global_rank() * len(anchors)
            own = slice(first, first + len(anchors))
            anchors, positives = gather_over_ranks(anchors), gather_over_ranks(positives)
        return info_nce(
            anchors, positives, self.temperature, self.config.loss.contrastive_form, excluded, own
        )


def mask_noise(
    pairs: int,
    patches: int,
    key: tuple[int | str, ...],
    rank: int | None = None,
    ranks: int | None = None,
) -> Float[Tensor, 'frames patches']:
    """Draw what decides which patches are hidden: anew for every image.

    Args:
        pairs: of this process's batch.
        patches: of an image.
        key: of the batch.
        rank: of this process, the running one by default; its i-th pair is number
            `i * ranks + rank` of the joined batch, and that number alone fixes the draw.
        ranks: number of processes, the running ones by default.

    Returns:
        uniform numbers, the anchors' and then the positives'.
    """
    rank = global_rank() if rank is None else rank
    ranks = world_size() if ranks is None else ranks
    noise = torch.stack(
        [
            torch.rand(2, patches, generator=torch_generator(*key, 'mask', i * ranks + rank))
            for i in range(pairs)
        ]
    )
    return noise.transpose(0, 1).flatten(0, 1)


def projection_head(width: int, layers: int) -> nn.Sequential:
    """Build the non-linear projection: linear layers with BatchNorm and ReLU between them."""
    modules: list[nn.Module] = []
    for _ in range(layers - 1):
        modules += [nn.Linear(width, width), BatchNorm(width), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(width, width))
