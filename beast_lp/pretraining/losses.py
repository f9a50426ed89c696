"""The objective: pure functions on tensors (METHOD: Wang, Yu et al., ICLR 2026, arXiv 2507.09513).

L = reconstruction_weight * L_MSE + contrastive_weight * L_InfoNCE.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

# anchors that are looked up at once: all similarities of a large run would take gigabytes
_QUERIES = 1024


def reconstruction_loss(
    prediction: Float[Tensor, 'images masked pixels'],
    target: Float[Tensor, 'images masked pixels'],
    norm_pix: bool = False,
) -> Float[Tensor, '']:
    """Mean squared error over the masked patches (He et al. 2022, section 3).

    Args:
        prediction: predicted pixels of the masked patches.
        target: their true pixels, ImageNet-normalised.
        norm_pix: compare with pixels normalised to mean 0 and variance 1 within each patch.
    """
    if norm_pix:
        mean, scale = patch_statistics(target)
        target = (target - mean) / scale
    return functional.mse_loss(prediction.float(), target.float())


def patch_statistics(
    patches: Float[Tensor, 'images masked pixels'],
) -> tuple[Float[Tensor, 'images masked 1'], Float[Tensor, 'images masked 1']]:
    """Return the mean and the (never zero) standard deviation of each patch's pixels."""
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + 1e-6).sqrt()


def info_nce(
    anchors: Float[Tensor, 'pairs dim'],
    positives: Float[Tensor, 'pairs dim'],
    temperature: float | Float[Tensor, ''] = 1.0,
    form: str = 'symmetric',
    excluded: Bool[Tensor, 'frames frames'] | None = None,
    queries: slice | None = None,
) -> Float[Tensor, '']:
    """Contrast every query with its partner against all other frames of the batch.

    The candidates of a frame i are all j != i of the 2 * pairs frames; similarities are cosines
    over the temperature.

    Args:
        anchors: projections of the anchors, of any length.
        positives: projections of their positives, in the same order.
        temperature: divides the cosines.
        form: `symmetric` takes anchors and positives as queries (NT-Xent, Chen et al. 2020, and
            the authors' package); `anchors` takes the anchors alone (the paper's sum, -(2/B) over
            B/2 anchors).
        excluded: pairs of the 2 * pairs frames (anchors, then positives) that are no candidates
            for each other; never a frame and its own partner.
        queries: the pairs that ask; the others are candidates alone, such as the frames of other
            processes. All of them by default.
    """
    pairs = len(anchors)
    rows = torch.arange(pairs, device=anchors.device)[queries or slice(None)]
    if form == 'symmetric':
        rows = torch.cat([rows, rows + pairs])
    left_out = rows[:, None] == torch.arange(2 * pairs, device=anchors.device)
    if excluded is not None:
        left_out = left_out | excluded[rows]
    # autocast would round the factors to bf16, and a low temperature multiplies what that costs
    with torch.autocast(anchors.device.type, enabled=False):
        frames = functional.normalize(torch.cat([anchors, positives]).float(), dim=-1)
        cosines = frames[rows] @ frames.T
    logits = (cosines / temperature).masked_fill(left_out, -torch.inf)
    return functional.cross_entropy(logits, (rows + pairs) % (2 * pairs))


def temporal_neighbours(
    video: Int[Tensor, ' frames'],
    time: Int[Tensor, ' frames'],
    within: int,
) -> Bool[Tensor, 'frames frames']:
    """Mark pairs of frames that are too close in time to be told apart.

    Args:
        video: which video each frame is from, all anchors and then all positives.
        time: its ordinal there.
        within: frames of one video at most so many ordinals apart are neighbours.

    Returns:
        true for neighbours, but never for a frame and its own partner (or itself).
    """
    count = len(video)
    close = (time[:, None] - time[None]).abs() <= within
    index = torch.arange(count, device=video.device)
    partner = (index + count // 2) % count
    own = (index[None] == partner[:, None]) | (index[None] == index[:, None])
    return close & (video[:, None] == video[None]) & ~own


def nearest_frame(
    anchors: Float[Tensor, 'pairs dim'],
    positives: Float[Tensor, 'pairs dim'],
) -> Int[Tensor, ' pairs']:
    """Return, for every anchor, the most similar other frame among all anchors and positives.

    Returns:
        indices into the anchors followed by the positives: `pairs + i` is anchor i's positive.
    """
    pairs = len(anchors)
    frames = functional.normalize(torch.cat([anchors, positives]).float(), dim=-1)
    nearest = []
    for start in range(0, pairs, _QUERIES):
        similarity = frames[start : start + _QUERIES][: pairs - start] @ frames.T
        # a frame is not its own neighbour
        similarity.diagonal(start).fill_(-2)
        nearest.append(similarity.argmax(-1))
    return torch.cat(nearest)


def retrieval_accuracy(nearest: Int[Tensor, ' pairs']) -> Float[Tensor, '']:
    """Return the share of anchors whose nearest frame is their positive; chance is 1/(2n - 1)."""
    pairs = len(nearest)
    positives = torch.arange(pairs, 2 * pairs, device=nearest.device)
    return (nearest == positives).float().mean()
