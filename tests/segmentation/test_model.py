"""The network: the lean pooling is the textbook's, and sequences leave no seams."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from beast_lp.config.segmentation import HeadConfig
from beast_lp.segmentation.model import (
    DilatedTCN,
    Segmenter,
    build_segmenter,
)
from beast_lp.segmentation.pooling import AttentionPooling, Standardise
from beast_lp.segmentation.probabilities import predict, to_all_frames
from beast_lp.segmentation.streams import Streams


def _model(shape: tuple[int, ...] = (4, 6)) -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter([shape], 3, HeadConfig(hidden_size=5, blocks=3, lags=2), seed=0).eval()


def test_pooling_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    pool, tokens = AttentionPooling(6, 8, heads=2), torch.randn(4, 7, 6)
    query = pool.to_query(pool.query)
    expected = []
    for frame in tokens:
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            keys, values = pool.to_key(frame)[:, part], pool.to_value(frame)[:, part]
            attention = torch.softmax(keys @ query[part] / math.sqrt(4), dim=0)
            heads.append(attention @ values)
        pooled = query + torch.cat(heads)
        expected.append(pooled + torch.relu(pool.out(pooled)))
    torch.testing.assert_close(pool(tokens), torch.stack(expected))
    # torch's own, with the same weights
    theirs = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    with torch.no_grad():
        for weight, value in (
            (theirs.q_proj_weight, pool.to_query.weight),
            (theirs.k_proj_weight, pool.to_key.weight),
            (theirs.v_proj_weight, pool.to_value.weight),
            (theirs.out_proj.weight, torch.eye(8)),
        ):
            assert weight is not None
            weight.copy_(value)
        theirs.in_proj_bias.copy_(
            torch.cat([pool.to_query.bias, torch.zeros(8), pool.to_value.bias])
        )
        theirs.out_proj.bias.zero_()
    attended, _ = theirs(pool.query.expand(4, 1, 8), tokens, tokens)
    pooled = query + attended[:, 0]
    torch.testing.assert_close(pool(tokens), pooled + torch.relu(pool.out(pooled)))
    standardise = Standardise(6)
    standardise.fit(torch.linspace(-1, 2, 6), torch.linspace(0.5, 3, 6))
    torch.testing.assert_close(pool(tokens, standardise), pool(standardise(tokens)))


def test_the_reach_is_that_of_the_paper() -> None:
    assert DilatedTCN(6, 3, 5, blocks=4, lags=2, dropout=0).reach == 60
    assert DilatedTCN(6, 3, 5, blocks=2, lags=4, dropout=0).reach == 24


@pytest.mark.parametrize('lag', [1, 4])
def test_a_prediction_depends_on_its_context_and_no_further(lag: int) -> None:
    model = _model()
    next(model.each_stream()).difference_lag.fill_(lag)
    x = torch.randn(1, 120, 4, 6)
    valid = torch.ones(1, 120, dtype=torch.bool)
    before = model([x], valid)
    x[:, 60 + model.context :] += 10
    x[:, : 60 - model.context] -= 10
    after = model([x], valid)
    torch.testing.assert_close(after[:, 60], before[:, 60])
    near = 62 + lag
    assert not torch.allclose(after[:, near], before[:, near])


@pytest.mark.parametrize('shape', [(211, 4, 6), (211, 6), (3, 6), (1, 4, 6)])
@pytest.mark.parametrize('length', [7, 50, 1000])
def test_sequences_give_what_the_whole_video_gives(shape: tuple[int, ...], length: int) -> None:
    model = _model(shape[1:])
    next(model.each_stream()).difference_lag.fill_(4 if length == 50 else 1)
    features = np.random.default_rng(0).normal(size=shape).astype(np.float16)
    whole = torch.from_numpy(features.astype(np.float32))[None]
    expected = model([whole], torch.ones(whole.shape[:2], dtype=torch.bool)).softmax(-1)[0]
    found = predict([model], Streams((features,)), length=length)[0]
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


def test_streams_side_by_side_are_those_of_each_alone() -> None:
    torch.manual_seed(0)
    head = HeadConfig(hidden_size=5, blocks=3, lags=2)
    model = build_segmenter([(4, 6), (3,)], 3, head, seed=0).eval()
    tokens, vectors = model.each_stream()
    tokens.difference_lag.fill_(4)
    assert model.context == 28 + 4
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(211, 4, 6)), rng.normal(size=(211, 3))
    both = [torch.from_numpy(array)[None].float() for array in arrays]
    valid = torch.ones(1, 211, dtype=torch.bool)
    entering = torch.cat([tokens(both[0], valid), vectors(both[1], valid)], dim=-1)
    expected = model.tcn(entering, valid).softmax(-1)[0].detach().numpy()
    for length in (7, 1000):
        found = predict([model], Streams(arrays), length=length)[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_padding_changes_nothing() -> None:
    model = _model()
    short, long = torch.randn(1, 20, 4, 6), torch.randn(1, 50, 4, 6)
    alone = model([short], torch.ones(1, 20, dtype=torch.bool))
    batch, valid = torch.randn(2, 50, 4, 6), torch.ones(2, 50, dtype=torch.bool)
    batch[0, :20], batch[1], valid[0, 20:] = short[0], long[0], False
    torch.testing.assert_close(model([batch], valid)[0, :20], alone[0])


def test_what_is_hidden_has_no_influence() -> None:
    model = _model()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 4, 6)).astype(np.float32)
    visible = np.zeros(100, dtype=bool)
    visible[30:60] = True
    before = predict([model], Streams((features,)), visible)[0]
    assert np.isnan(before[~visible]).all() and np.isfinite(before[visible]).all()
    features[~visible] = rng.normal(size=(70, 4, 6))
    np.testing.assert_array_equal(predict([model], Streams((features,)), visible)[0], before)
    np.testing.assert_allclose(
        before[30:60], predict([model], Streams((features[30:60],)))[0], atol=1e-6
    )


def test_a_constant_channel_is_only_centred() -> None:
    standardise = Standardise(2)
    standardise.fit(torch.tensor([5.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert standardise(torch.tensor([5.5, 5.0])).tolist() == [0.5, 2.0]


def test_frames_without_features_take_the_nearest() -> None:
    rows = np.array([[0.0], [1.0], [2.0]])
    frames = to_all_frames(rows, np.array([0, 4, 8]), 10)[:, 0]
    assert frames.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
