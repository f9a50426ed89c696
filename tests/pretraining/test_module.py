"""One training step: losses, gradients, schedule, parameter groups."""

import math

import pytest
import torch

from beast_lp.config import parse_config
from beast_lp.pretraining.backgrounds import Backgrounds
from beast_lp.pretraining.losses import nearest_frame, retrieval_accuracy
from beast_lp.pretraining.module import BeastModule, mask_noise, projection_head
from beast_lp.vit.optimiser import parameter_groups
from beast_lp.vit.patches import patchify
from beast_lp.vit.pixels import network_input

TINY = {
    'init': 'random',
    'model': {
        'image_size': 32,
        'patch_size': 8,
        'hidden_size': 32,
        'num_layers': 1,
        'decoder_hidden_size': 16,
        'decoder_num_layers': 1,
    },
    'training': {'batch_size': 8},
}


def _module(**loss: float) -> BeastModule:
    torch.manual_seed(0)
    return BeastModule(parse_config({**TINY, 'loss': loss}))


def _losses(module: BeastModule) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    losses, _, _ = module._losses(torch.randn(8, 3, 32, 32), mask_noise(4, 16, (0,)))
    return losses


@pytest.mark.parametrize(
    ('loss', 'kept', 'without'),
    [
        ({'contrastive_weight': 0.0}, {'reconstruction'}, 'projection'),
        ({'reconstruction_weight': 0.0}, {'contrastive'}, 'decoder'),
    ],
)
def test_an_ablation_drops_its_term_and_its_parameters(
    loss: dict[str, float],
    kept: set[str],
    without: str,
) -> None:
    module = _module(**loss)
    losses = _losses(module)
    assert set(losses) == kept | {'loss'}
    assert not any(without in name for name, _ in module.named_parameters())


@pytest.mark.parametrize('weight', [0.0, 0.1])
def test_held_out_positives_are_found_by_cls_with_and_without_a_projection(
    weight: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, logged = _module(contrastive_weight=weight).eval(), {}
    for name in ('log', 'log_dict'):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    for seed in range(2):
        draw = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (4, 2, 32, 32, 3), dtype=torch.uint8, generator=draw)
        module.validation_step(pixels, seed)
    cls = [part.chunk(2) for part in (b['cls_retrieval'] for b in module._held_out)]
    other = torch.cat([b['retrieval'] for b in module._held_out])
    assert torch.equal(other, torch.cat([torch.cat(part) for part in cls])) == (weight == 0)

    monkeypatch.setattr(module, 'log', lambda name, value: logged.update({name: float(value)}))
    module.on_validation_epoch_end()
    anchors, positives = (torch.cat(part) for part in zip(*cls, strict=True))
    found = retrieval_accuracy(nearest_frame(anchors, positives))
    assert logged['val_cls_retrieval'] == pytest.approx(float(found))
    assert logged['val_retrieval_chance'] == pytest.approx(1 / 15)
    assert module._held_out == []
    # noise has no near copies
    assert logged['val_pixel_retrieval'] <= 0.25


def _validate(
    module: BeastModule,
    batches: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    bf16: bool = False,
) -> dict[str, float]:
    """Return what a validation logs at its end, and the last batch's losses."""
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, 'log', lambda name, value: logged.update({name: float(value)}))
    monkeypatch.setattr(module, 'log_dict', lambda values, batch_size: logged.update(values))
    for number, pixels in enumerate(batches):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=bf16):
            module.validation_step(pixels, number)
    module.on_validation_epoch_end()
    return {name: float(value) for name, value in logged.items()}


def test_near_copies_are_found_by_their_pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    # a bright static scene in which little changes, and hardly that from one frame to the next
    scene = torch.randint(120, 255, (32, 32, 3), generator=draw)
    changes = torch.randint(0, 60, (6, 1, 32, 32, 3), generator=draw)
    noise = torch.randint(-2, 3, (6, 2, 32, 32, 3), generator=draw)
    frames = (scene - changes + noise).clamp(0, 255).byte()
    logged = _validate(_module().eval(), [frames[:4], frames[4:]], monkeypatch, bf16=True)
    assert logged['val_pixel_retrieval'] == 1
    assert logged['val_contrastive_chance'] == pytest.approx(math.log(3))


@pytest.mark.parametrize('norm_pix', [False, True])
def test_the_explained_share_equals_a_slow_version(
    norm_pix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = _module(norm_pix_loss=norm_pix).eval()
    draw = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (5, 2, 32, 32, 3), dtype=torch.uint8, generator=draw)
    mean = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=draw)
    medians = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=draw)
    video = torch.tensor([0, 0, 1, 1, 1])
    module.backgrounds = Backgrounds(mean, medians, video)
    logged = _validate(module, [frames[:3], frames[3:]], monkeypatch)

    def normalised(patch: torch.Tensor) -> torch.Tensor:
        return (patch - patch.mean()) / (patch.var() + 1e-6).sqrt() if norm_pix else patch

    def patches(frame: torch.Tensor) -> torch.Tensor:
        return patchify(network_input(frame[None]), 8)[0]

    squares: dict[str, list[float]] = {'model': [], 'mean': [], 'median': []}
    for number, part in enumerate((slice(0, 3), slice(3, 5))):
        pairs = part.stop - part.start
        noise = mask_noise(pairs, 16, (0, 'validation', number))
        own = frames[part].transpose(0, 1).flatten(0, 1)
        with torch.no_grad():
            output = module.model(network_input(own), noise)
        assert output.prediction is not None
        for i in range(2 * pairs):
            median = medians[video[part.start + i % pairs]]
            for j, place in enumerate(output.masked[i].tolist()):
                truth = normalised(patches(own[i])[place])
                for name, guess in (
                    ('model', output.prediction[i, j]),
                    ('mean', normalised(patches(mean)[place])),
                    ('median', normalised(patches(median)[place])),
                ):
                    squares[name].append(float((guess - truth).square().mean()))
    error = {name: sum(values) / len(values) for name, values in squares.items()}
    assert logged['val_explained'] == pytest.approx(1 - error['model'] / error['mean'], rel=1e-4)
    assert logged['val_background_explained'] == pytest.approx(
        1 - error['model'] / error['median'], rel=1e-4
    )
    assert module._errors == []


def test_nothing_is_explained_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module(reconstruction_weight=0.0).eval()
    pictures = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    module.backgrounds = Backgrounds(pictures[0], pictures, torch.zeros(4, dtype=torch.int64))
    logged = _validate(module, [pictures.expand(4, 2, -1, -1, -1)], monkeypatch)
    assert 'val_contrastive' in logged and 'val_explained' not in logged


@pytest.mark.parametrize(
    'loss',
    [
        {},
        {'contrastive_weight': 0.0},
        {'reconstruction_weight': 0.0},
        {'learn_temperature': True},
    ],
)
def test_every_parameter_gets_a_gradient(loss: dict[str, float]) -> None:
    module = _module(**loss)
    _losses(module)['loss'].backward()
    assert [n for n, p in module.named_parameters() if p.grad is None] == []


def test_a_learned_temperature_starts_at_the_setting_and_follows_its_gradient() -> None:
    module = _module(temperature=0.5, learn_temperature=True, contrastive_weight=1.0)
    assert float(torch.as_tensor(module.temperature).detach()) == pytest.approx(0.5)
    before = float(_losses(module)['contrastive'].detach())
    optimizer = torch.optim.SGD([module.log_temperature], lr=0.5)  # type: ignore[list-item]
    for _ in range(5):
        optimizer.zero_grad()
        _losses(module)['loss'].backward()
        optimizer.step()
    assert float(torch.as_tensor(module.temperature).detach()) != pytest.approx(0.5, abs=1e-3)
    assert float(_losses(module)['contrastive'].detach()) < before


def test_gradient_checkpointing_changes_no_gradient() -> None:
    kept, recomputed = _module(), _module()
    recomputed.model.checkpointing = True
    saved: dict[bool, int] = {}
    for module in (kept, recomputed):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: sizes.append(x.numel()) or x,
            lambda x: x,
        ):
            loss = _losses(module)['loss']
        saved[module is recomputed] = sum(sizes)
        loss.backward()
    assert saved[True] < 0.8 * saved[False]
    for a, b in zip(kept.parameters(), recomputed.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.equal(a.grad, b.grad)


def test_augmentation_orders_anchors_before_positives_and_can_share_geometry() -> None:
    config = parse_config({**TINY, 'augmentation': {'shared_geometry': True}})
    module = BeastModule(config)
    frames = torch.randint(0, 256, (4, 1, 36, 36, 3), dtype=torch.uint8).expand(-1, 2, -1, -1, -1)
    shared = module._augment(frames, (0,))
    assert shared.shape == (8, 3, 32, 32)
    torch.testing.assert_close(shared[:4], shared[4:])
    config.augmentation.shared_geometry = False
    apart = module._augment(frames, (0,))
    assert not torch.allclose(apart[:4], apart[4:])


def test_the_projection_has_the_authors_form() -> None:
    names = [type(layer).__name__ for layer in projection_head(16, 3)]
    assert names == ['Linear', 'BatchNorm', 'ReLU', 'Linear', 'BatchNorm', 'ReLU', 'Linear']
    assert [type(layer).__name__ for layer in projection_head(16, 1)] == ['Linear']


def test_only_matrices_decay() -> None:
    module = _module()
    decayed, others = parameter_groups(module, 0.05)
    names = {id(p): n for n, p in module.named_parameters()}
    assert decayed['weight_decay'] == 0.05
    assert others['weight_decay'] == 0.0
    assert all(names[id(p)].endswith('weight') for p in decayed['params'])
    undecayed = {names[id(p)] for p in others['params']}
    assert {'model.cls_token', 'model.mask_token', 'model.norm.weight'} <= undecayed
    assert len(decayed['params']) + len(others['params']) == len(names)
