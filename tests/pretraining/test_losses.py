"""The objective against slow loops."""

import math
from dataclasses import fields

import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor

from beast_lp.config import LossConfig
from beast_lp.config.setting import declaration
from beast_lp.pretraining import losses
from beast_lp.pretraining.losses import (
    FORMS,
    TERMS,
    Outputs,
    info_nce,
    nearest_frame,
    objective,
    reconstruction_loss,
    retrieval_accuracy,
)


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def _slow_info_nce(
    anchors: Tensor,
    positives: Tensor,
    temperature: float,
    form: str,
) -> float:
    frames = [*anchors, *positives]
    pairs = len(anchors)
    queries = range(2 * pairs) if form == 'symmetric' else range(pairs)
    total = 0.0
    for i in queries:
        partner = i + pairs if i < pairs else i - pairs
        others = [
            math.exp(_cosine(frames[i], frames[j]) / temperature)
            for j in range(2 * pairs)
            if j != i
        ]
        own = math.exp(_cosine(frames[i], frames[partner]) / temperature)
        total -= math.log(own / sum(others))
    return total / len(queries)


@pytest.mark.parametrize('form', ['symmetric', 'anchors'])
@pytest.mark.parametrize('temperature', [0.1, 1.0, 3.0])
@pytest.mark.parametrize('pairs', [1, 2, 7, 16])
@pytest.mark.parametrize('dim', [1, 3, 8])
def test_info_nce_equals_a_slow_loop(
    pairs: int,
    dim: int,
    temperature: float,
    form: str,
) -> None:
    torch.manual_seed(pairs)
    anchors, positives = torch.randn(2, pairs, dim, dtype=torch.float64)
    fast = info_nce(anchors, positives, temperature, form)
    slow = _slow_info_nce(anchors, positives, temperature, form)
    assert float(fast) == pytest.approx(slow, rel=1e-5, abs=1e-7)


def test_autocast_does_not_round_the_cosines() -> None:
    torch.manual_seed(0)
    anchors, positives = torch.randn(2, 16, 32)
    wanted = info_nce(anchors, positives, 0.05)
    with torch.autocast('cpu', torch.bfloat16):
        found = info_nce(anchors, positives, 0.05)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


@pytest.mark.parametrize('form', ['symmetric', 'anchors'])
@pytest.mark.parametrize('queries', [slice(0, 3), slice(2, 7), slice(6, 7)])
def test_some_pairs_ask_and_the_others_are_candidates(form: str, queries: slice) -> None:
    torch.manual_seed(1)
    anchors, positives = torch.randn(2, 7, 4, dtype=torch.float64)
    frames, total, count = [*anchors, *positives], 0.0, 0
    for pair in range(queries.start, queries.stop):
        for i in (pair, pair + 7)[: 2 if form == 'symmetric' else 1]:
            partner = (i + 7) % 14
            candidates = [
                math.exp(_cosine(frames[i], frames[j]) / 0.3) for j in range(14) if j != i
            ]
            total -= math.log(
                math.exp(_cosine(frames[i], frames[partner]) / 0.3) / sum(candidates)
            )
            count += 1
    fast = info_nce(anchors, positives, 0.3, form, queries=queries)
    assert float(fast) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize(('pairs', 'dim'), [(2, 3), (5, 16), (64, 128)])
def test_the_symmetric_form_is_nt_xent_at_unit_temperature(pairs: int, dim: int) -> None:
    torch.manual_seed(pairs)
    anchors, positives = torch.randn(2, pairs, dim)
    theirs = NTXentLoss(temperature=1.0)(anchors, positives)
    torch.testing.assert_close(info_nce(anchors, positives), theirs, rtol=1e-5, atol=1e-6)


def test_a_temperature_can_be_learned() -> None:
    torch.manual_seed(0)
    anchors, positives = torch.randn(2, 5, 4, dtype=torch.float64)
    log_temperature = torch.tensor(-0.5, requires_grad=True)
    info_nce(anchors, positives, log_temperature.exp()).backward()
    a, b = (float(info_nce(anchors, positives, math.exp(-0.5 + step))) for step in (-1e-2, 1e-2))
    assert log_temperature.grad is not None
    assert float(log_temperature.grad) == pytest.approx((b - a) / 2e-2, rel=1e-2)


def test_info_nce_bounds_at_unit_temperature() -> None:
    """METHOD: at B = 128 and temperature 1 the loss lies between 3.84 and 4.84."""
    torch.manual_seed(0)
    scattered = torch.nn.functional.normalize(torch.randn(64, 512), dim=-1)
    assert 3.8 < float(info_nce(scattered, scattered)) < 4.0
    same = torch.ones(64, 512)
    assert float(info_nce(same, same)) == pytest.approx(math.log(127), abs=1e-5)


@pytest.mark.parametrize('norm_pix', [False, True])
@pytest.mark.parametrize(('images', 'patches', 'size'), [(1, 1, 2), (3, 4, 12), (2, 7, 48)])
def test_reconstruction_equals_a_slow_loop(
    images: int,
    patches: int,
    size: int,
    norm_pix: bool,
) -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, images, patches, size)
    total, count = 0.0, 0
    for image in range(images):
        for patch in range(patches):
            pixels = target[image, patch].tolist()
            mean = sum(pixels) / size
            variance = sum((p - mean) ** 2 for p in pixels) / (size - 1)
            for k, pixel in enumerate(pixels):
                wanted = (pixel - mean) / math.sqrt(variance + 1e-6) if norm_pix else pixel
                total += (float(prediction[image, patch, k]) - wanted) ** 2
                count += 1
    loss = reconstruction_loss(prediction, target, norm_pix)
    assert float(loss) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize('pairs', [1, 2, 9])
@pytest.mark.parametrize('queries', [1024, 3])
def test_nearest_frame_equals_a_slow_loop(
    pairs: int,
    queries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, '_QUERIES', queries)
    torch.manual_seed(0)
    anchors, positives = torch.randn(2, pairs, 4)
    frames = [*anchors, *positives]
    slow = [
        max(
            (j for j in range(2 * pairs) if j != i),
            key=lambda j, i=i: _cosine(frames[i], frames[j]),
        )
        for i in range(pairs)
    ]
    assert nearest_frame(anchors, positives).tolist() == slow


def test_retrieval_accuracy_counts_own_positives() -> None:
    assert float(retrieval_accuracy(torch.tensor([4, 0, 6, 2]))) == 0.5


def _outputs(temperature: float = 1.0) -> Outputs:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 6, 3, 4)
    anchors, positives = torch.randn(2, 5, 8)
    return Outputs(prediction, target, anchors, positives, slice(1, 4), temperature)


def test_the_objective_is_the_weighted_sum_of_its_terms() -> None:
    outputs, settings = _outputs(0.5), LossConfig(contrastive_weight=0.2, norm_pix_loss=True)
    losses = objective(outputs, settings)
    reconstruction = reconstruction_loss(outputs.prediction, outputs.target, True)  # type: ignore
    contrastive = info_nce(outputs.anchors, outputs.positives, 0.5, queries=slice(1, 4))
    assert losses == {
        'loss': reconstruction + 0.2 * contrastive,
        'reconstruction': reconstruction,
        'contrastive': contrastive,
    }


@pytest.mark.parametrize('name', TERMS)
def test_a_weight_of_0_leaves_its_term_out(name: str) -> None:
    settings = LossConfig(contrastive_weight=1.0)
    setattr(settings, f'{name}_weight', 0.0)
    (other,) = TERMS.keys() - {name}
    outputs = _outputs()._replace(**{'prediction': None} if name == 'reconstruction' else {})
    losses = objective(outputs, settings)
    assert losses.keys() == {'loss', other}
    assert losses['loss'] == losses[other]


def test_the_terms_and_forms_are_those_of_the_schema() -> None:
    declared = {item.name: declaration(item) for item in fields(LossConfig)}
    assert {name for name in declared if name.endswith('_weight')} == {
        f'{n}_weight' for n in TERMS
    }
    assert (declared['contrastive_form'].choices or {}).keys() == FORMS.keys()
