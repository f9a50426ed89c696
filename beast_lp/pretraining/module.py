"""The Lightning module: one training step depends on weights, batch and step only."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from beast_lp.config import BeastConfig
from beast_lp.pretraining.augmentation import augment, draw_geometry
from beast_lp.pretraining.backgrounds import Backgrounds, picture_error
from beast_lp.pretraining.checkpoints import diverged
from beast_lp.pretraining.distributed import (
    BatchNorm,
    gather_over_ranks,
    global_rank,
    sum_over_ranks,
    world_size,
)
from beast_lp.pretraining.floors import grey_pixels
from beast_lp.pretraining.losses import (
    Outputs,
    contrastive_chance,
    nearest_frame,
    objective,
    retrieval_accuracy,
)
from beast_lp.runs.seeds import torch_generator
from beast_lp.vit.architecture import Architecture
from beast_lp.vit.model import Masked, MaskedAutoencoder
from beast_lp.vit.optimiser import OPTIMISERS, schedule_factor
from beast_lp.vit.pixels import network_input
from beast_lp.vit.safe_load import ARCHITECTURE_KEY

# a learned temperature stays above this (CLIP, Radford et al. 2021, section 2.5)
_LEAST_TEMPERATURE = 0.01
# share of the steps that warm up, and share of the peak at the first and last step (authors)
_WARMUP, _FLOOR = 0.15, 0.1
# steps of a GPU between two looks at its loss
_CHECK_EVERY = 50


class BeastModule(LightningModule):
    """Masked autoencoder and projection head with the BEAST objective."""

    def __init__(self, config: BeastConfig) -> None:
        """Build the model with random weights; the stage loads those of `config.init`."""
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
        # length of the schedule, which the stage sets: Lightning's own estimate would start the
        # loader before a resumed run has set its place
        self.total_steps = 1
        # what held-out reconstructions have to beat, which the stage sets
        self.backgrounds: Backgrounds | None = None
        # summed errors of each validation batch: of the model, the mean picture, the medians
        self._errors: list[Tensor] = []
        # vectors that retrieval compares, of each validation batch, by the name of the measure
        self._held_out: list[dict[str, Tensor]] = []

    def training_step(
        self, batch: UInt8[Tensor, 'pairs 2 height width 3'], batch_index: int
    ) -> Float[Tensor, '']:
        """Augment, mask, reconstruct, contrast."""
        key = (self.config.seed, 'step', self.current_epoch, batch_index)
        images = self._augment(batch, key)
        patches = self.config.model.num_patches
        noise = mask_noise(len(batch), patches, key, global_rank(), world_size())
        losses, _, _ = self._losses(images, noise)
        # averaged here because `sync_dist` waits for all processes whenever one of them reads an
        # epoch's metrics
        means = {
            f'train_{name}': sum_over_ranks(value.detach()) / world_size()
            for name, value in losses.items()
        }
        # A GPU waits for whoever reads a number of it, and a loss that is not finite stays so,
        # since its step spoils the weights. The mean is read: all processes stop at once.
        loss = means['train_loss']
        if (loss.device.type == 'cpu' or batch_index % _CHECK_EVERY == 0) and not loss.isfinite():
            raise diverged(f'the loss became {loss.item()}', self.global_step)
        self.log_dict(
            means,
            on_step=True,
            on_epoch=True,
            prog_bar=True,
            batch_size=len(batch),
        )
        if 'contrastive' in losses:
            gathered = world_size() if self.config.loss.gather_negatives else 1
            self.log(
                'train_contrastive_chance',
                contrastive_chance(len(batch) * gathered),
                on_step=True,
                on_epoch=True,
                batch_size=len(batch),
            )
        if self.log_temperature is not None:
            self.log(
                'train_temperature',
                torch.as_tensor(self.temperature).detach(),
                on_step=True,
                on_epoch=True,
                batch_size=len(batch),
            )
        return losses['loss']

    def validation_step(
        self, batch: UInt8[Tensor, 'pairs 2 height width 3'], batch_index: int
    ) -> None:
        """Compute the same losses on held-out frames, without augmentation, with fixed masks."""
        images = network_input(batch).transpose(0, 1).flatten(0, 1)
        # the same masks in every process, each of which validates on all held-out frames
        key = (self.config.seed, 'validation', batch_index)
        noise = mask_noise(len(batch), self.config.model.num_patches, key)
        losses, vectors, masked = self._losses(images, noise)
        if 'contrastive' in losses:
            losses['contrastive_chance'] = torch.tensor(contrastive_chance(len(batch)))
        self.log_dict(
            {f'val_{name}': value for name, value in losses.items()}, batch_size=len(batch)
        )
        if self.backgrounds is not None and 'reconstruction' in losses:
            errors = [losses['reconstruction'], *self._picture_errors(self.backgrounds, masked)]
            self._errors.append(len(batch) * torch.stack(errors).cpu())
        # what the floor of retrieval compares: whole frames, where the model sees some patches
        vectors['pixel_retrieval'] = torch.from_numpy(
            grey_pixels(batch.transpose(0, 1).flatten(0, 1))
        )
        self._held_out.append({name: value.float().cpu() for name, value in vectors.items()})

    def on_validation_epoch_end(self) -> None:
        """Look up every held-out anchor's positive among all held-out frames.

        Of the reconstruction, log the share explained beyond the pictures that need no model.
        """
        if self._errors:
            model, mean, median = torch.stack(self._errors).sum(dim=0)
            self._errors = []
            self.log('val_explained', 1 - model / mean)
            self.log('val_background_explained', 1 - model / median)
        batches, self._held_out = self._held_out, []
        for name in batches[0]:
            parts = zip(*(batch[name].chunk(2) for batch in batches), strict=True)
            anchors, positives = (torch.cat(part) for part in parts)
            if name == 'pixel_retrieval':
                # else every frame would be like every other: most of a picture is its background
                mean = torch.cat([anchors, positives]).mean(dim=0)
                anchors, positives = anchors - mean, positives - mean
            self.log(f'val_{name}', retrieval_accuracy(nearest_frame(anchors, positives)))
        pairs = sum(len(batch['retrieval']) for batch in batches) // 2
        self.log('val_retrieval_chance', 1 / (2 * pairs - 1))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the encoder's shape, so that the file alone can serve as initial weights."""
        checkpoint[ARCHITECTURE_KEY] = self.model.architecture.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the property of the initial weights that no tensor holds."""
        shape = Architecture.from_json(checkpoint[ARCHITECTURE_KEY], Path('last.ckpt'))
        self.model.set_layer_norm_eps(shape.layer_norm_eps)

    def configure_optimizers(self) -> Any:
        """Build the optimiser with warm-up and cosine, stepped per step."""
        training = self.config.training
        # scaled linearly with the batch (Goyal et al. 2017)
        batches = self.trainer.world_size * training.accumulate
        peak = training.peak_learning_rate * batches
        optimizer = OPTIMISERS[training.optimizer](self, peak, training)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: schedule_factor(step, self.total_steps, _WARMUP, _FLOOR),
        )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }

    @property
    def temperature(self) -> Float[Tensor, ''] | float:
        """Divisor of the cosines: the setting, or the parameter learned from it."""
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
        # one draw for the joined batch of all processes, from which each takes its pairs
        pairs, draw = len(pixels) * world_size(), torch_generator(*key, 'geometry')
        if settings.shared_geometry:
            maps = draw_geometry(pairs, size, settings, draw).repeat(2, 1, 1)
        else:
            maps = draw_geometry(2 * pairs, size, settings, draw)
        maps = maps.unflatten(0, (2, pairs))[:, global_rank() :: world_size()].flatten(0, 1)
        return augment(frames, maps, size)

    def _losses(
        self,
        images: Float[Tensor, 'frames 3 height width'],
        noise: Float[Tensor, 'frames patches'],
    ) -> tuple[dict[str, Tensor], dict[str, Float[Tensor, 'frames dim']], Masked]:
        """Return the losses by name, the vectors of two measures of retrieval, and the pass.

        `retrieval` compares what the contrastive term compares (projections, else CLS tokens),
        `cls_retrieval` CLS tokens, so that runs with and without that term can be compared.
        """
        masked = self.model(images, noise.to(images.device))
        queries = masked.cls if self.projection is None else self.projection(masked.cls)
        losses = objective(self._outputs(masked, queries), self.config.loss)
        vectors = {'retrieval': queries.detach(), 'cls_retrieval': masked.cls.detach()}
        return losses, vectors, masked

    def _picture_errors(
        self, backgrounds: Backgrounds, masked: Masked
    ) -> tuple[Float[Tensor, ''], Float[Tensor, '']]:
        """Return the loss of the mean picture and of the medians on the next held-out batch."""
        pairs = len(masked.cls) // 2
        first = sum(len(batch['retrieval']) // 2 for batch in self._held_out)
        video = backgrounds.video[first : first + pairs].repeat(2)
        mean, median = (
            picture_error(
                pictures.to(masked.target.device),
                masked.target,
                masked.masked,
                self.config.model.patch_size,
                self.config.loss.norm_pix_loss,
            )
            for pictures in (backgrounds.mean[None], backgrounds.medians[video])
        )
        return mean, median

    def _outputs(self, masked: Masked, queries: Float[Tensor, 'frames dim']) -> Outputs:
        """Return what the loss terms read, with the frames of other processes if asked for."""
        anchors, positives = queries.chunk(2)
        own = slice(0, len(anchors))
        # every process validates on all held-out frames
        if self.training and self.config.loss.gather_negatives:
            first = global_rank() * len(anchors)
            own = slice(first, first + len(anchors))
            anchors, positives = gather_over_ranks(anchors), gather_over_ranks(positives)
        return Outputs(masked.prediction, masked.target, anchors, positives, own, self.temperature)


def mask_noise(
    pairs: int,
    patches: int,
    key: tuple[int | str, ...],
    rank: int = 0,
    ranks: int = 1,
) -> Float[Tensor, 'frames patches']:
    """Draw the noise that decides which patches of each image are hidden.

    Args:
        pairs: pairs of this process's batch.
        patches: patches of an image.
        key: key of the batch.
        rank: rank of this process; its i-th pair is number `i * ranks + rank` of the joined batch,
            which alone fixes the draw.
        ranks: number of processes.

    Returns:
        uniform numbers for all anchors, then for all positives.

    Examples:
        >>> whole = mask_noise(4, 9, (0, 'step', 2)).view(2, 4, 9)
        >>> second = mask_noise(2, 9, (0, 'step', 2), rank=1, ranks=2).view(2, 2, 9)
        >>> torch.equal(second, whole[:, 1::2])
        True
    """
    noise = torch.stack(
        [
            torch.rand(2, patches, generator=torch_generator(*key, 'mask', i * ranks + rank))
            for i in range(pairs)
        ]
    )
    return noise.transpose(0, 1).flatten(0, 1)


def projection_head(width: int, layers: int) -> nn.Sequential:
    """Build the projection: linear layers with BatchNorm and ReLU between them.

    Args:
        width: channels of the input, of the output and in between.
        layers: linear layers.
    """
    modules: list[nn.Module] = []
    for _ in range(layers - 1):
        modules += [nn.Linear(width, width), BatchNorm(width), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(width, width))
