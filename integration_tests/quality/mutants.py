"""Key lines of losses, metrics and samplers, each with a variant that some test must reject."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A line of the package, broken.

    Attributes:
        file: of the package.
        original: text that occurs there exactly once.
        broken: what replaces it.
        tests: files and folders that must notice.
    """

    file: str
    original: str
    broken: str
    tests: tuple[str, ...]


def _mutants(file: str, tests: tuple[str, ...], *changes: tuple[str, str]) -> list[Mutant]:
    return [Mutant(file, original, broken, tests) for original, broken in changes]


MUTANTS = [
    *_mutants(
        'beast_lp/pretraining/losses.py',
        ('tests/pretraining/test_losses.py',),
        ('target = (target - mean) / scale', 'target = target - mean'),
        ('mse_loss(prediction', 'l1_loss(prediction'),
        ('dim=-1, keepdim=True)', 'dim=-1, keepdim=True, correction=0)'),
        ('itself = rows[:, None] == torch.arange', 'itself = rows[:, None] < -torch.arange'),
        ('(cosines / temperature)', '(cosines * temperature)'),
        ('enabled=False):\n        frames', 'enabled=True):\n        frames'),
        ('(rows + pairs) % (2 * pairs)', '(rows + pairs + 1) % (2 * pairs)'),
        ('torch.cat([rows, rows + pairs])', 'torch.cat([rows, rows])'),
        ('device=anchors.device)[queries]', 'device=anchors.device)'),
        ('.float(), dim=-1)\n        cosines', '.float(), dim=0)\n        cosines'),
        ('weights[name] * loss for', 'loss for'),
        ('weights.items() if weight}', 'weights.items()}'),
        ('diagonal(start)', 'diagonal(0)'),
        ('.fill_(-2)', '.fill_(2)'),
        ('positives = torch.arange(pairs, 2 * pairs', 'positives = torch.arange(0, pairs'),
    ),
    *_mutants(
        'beast_lp/pretraining/pairs.py',
        ('tests/pretraining/test_pairs.py', 'tests/pretraining/test_properties.py'),
        ('order = draw.permutation(self.anchors)', 'order = self.anchors.copy()'),
        ('draw.choice((-1, 1), size=len(order))', 'np.ones(len(order), int)'),
        ("(self.seed, 'pairs', self.epoch)", "(self.seed, 'pairs')"),
        ('range(self.rank, len(self)', 'range(0, len(self)'),
        ('self.world_size)[skip:]', 'self.world_size)'),
        ('skip, self._skip = self._skip, 0', 'skip = self._skip'),
        ('chosen + (chosen >= place)', 'chosen'),
        ('* (len(group) - 1))', '* len(group))'),
        ("anchors[np.argsort(video, kind='stable')]", 'anchors'),
        ('counts.min(initial=2) < 2', 'counts.min(initial=2) < 1'),
        ('self.store.read(pair.window, (pair', 'self.store.read(pair.anchor, (pair'),
        ('Pair(anchor, anchor, side)', 'Pair(anchor, anchor, 1)'),
        ('share * self.epoch, share', '0, share'),
        ('begin = start - first * len(anchors)', 'begin = 0'),
        ('draw.permuted(turns, axis=1).ravel()', 'turns.ravel()'),
        ('math.ceil(pairs / len(self._projects))', '(pairs // len(self._projects))'),
        ('sides = draw.choice((-1, 1), size=len(anchors))', 'sides = np.ones(len(anchors), int)'),
    ),
    *_mutants(
        'beast_lp/pretraining/pairs.py',
        ('tests/pretraining/test_loaders.py',),
        ('done = self._batches == len(self)', 'done = False'),
        ('skip_once(self._bounds[self._batches])', 'skip_once(self._batches)'),
        ("self.sampler.set_epoch(state['epoch'])", 'pass'),
        ('self._batches, self._earlier = self._earlier, 0', 'self._batches = 0'),
    ),
    *_mutants(
        'beast_lp/pretraining/split.py',
        ('tests/pretraining/test_split.py', 'tests/pretraining/test_properties.py'),
        ('before = min(start - 1, int', 'before = max(start - 1, int'),
        ('after = max(stop + 1, int', 'after = min(stop + 1, int'),
        ("[group.sort_values('frame') for", '[group for'),
        ('sum(map(len, held_out)) >= wanted', 'sum(map(len, held_out)) > wanted'),
    ),
    *_mutants(
        'beast_lp/pca.py',
        ('tests/test_pca.py',),
        ('yield batch - mean.astype(batch.dtype)', 'yield batch'),
    ),
    *_mutants(
        'beast_lp/encoding/metrics.py',
        ('tests/encoding/test_metrics.py',),
        ('dtype=np.float64), RATE_FLOOR)', 'dtype=np.float64), 1e-6)'),
        ('- rates + null, axis=0)', '+ rates - null, axis=0)'),
        (' / np.log(2)', ''),
        ('counts.mean(axis=0) if null', 'counts.mean() if null'),
        ('gain[fires].sum() / spikes[fires].sum()', '(gain[fires] / spikes[fires]).mean()'),
        ('float(per_neuron[fires].mean())', 'float(np.median(per_neuron[fires]))'),
        ('fires = spikes > 0', 'fires = spikes >= 0'),
        ('import explained_variance_score\n', 'import r2_score as explained_variance_score\n'),
        ('import r2_score\n', 'import explained_variance_score as r2_score\n'),
        ('(np.ptp(responses, axis=0) > 0)', '(np.ptp(responses, axis=0) >= 0)'),
        ('& np.isfinite(predictions).all(axis=0)', ''),
    ),
    *_mutants(
        'beast_lp/pca.py',
        ('tests/test_pca.py',),
        ('yield batch - mean.astype(batch.dtype)', 'yield batch'),
        ('if start >= stop:', 'if start >= first:'),
        ('np.linalg.qr(axes)[0]', 'axes'),
        ('min(most, rows)', 'most'),
    ),
    *_mutants(
        'beast_lp/encoding/poisson.py',
        ('tests/encoding/test_poisson.py',),
        ('if penalty >= constant_from(x, counts, base):', 'if False:'),
        ('counts - base * _ratio(counts, base)', 'counts'),
    ),
    *_mutants(
        'beast_lp/encoding/grid.py',
        ('tests/encoding/test_encoders.py',),
        ('squares - 2 * products', 'squares - products'),
        ('errors[number] += form.squares', 'errors[number] = form.squares'),
    ),
    *_mutants(
        'beast_lp/encoding/split.py',
        ('tests/encoding/test_split.py', 'tests/encoding/test_properties.py'),
        ('>= gap_s - half / 100', '>= gap_s + half'),
        ('core &= np.abs', 'core |= np.abs'),
        ('_assign(len(trials), folds, seed)[at]', '_assign(len(at), folds, seed)'),
    ),
    *_mutants(
        'beast_lp/segmentation/metrics.py',
        ('tests/segmentation/test_metrics.py',),
        (
            'confusion_matrix(target[chosen], predicted[chosen]',
            'confusion_matrix(predicted[chosen], target[chosen]',
        ),
        (
            '        target[chosen],\n        predicted[chosen],\n',
            '        predicted[chosen],\n        target[chosen],\n',
        ),
        ('np.where(scored > 0, values, np.nan)', 'values'),
        ('f1[counted & ~np.isnan(f1)]', 'f1[~np.isnan(f1)]'),
        ('np.ceil(sure * bins).astype(int) - 1', 'np.floor(sure * bins).astype(int)'),
        ("table['confidence']).abs()", "table['confidence'])"),
        ('shares[best] >= overlap', 'shares[best] > overlap'),
        ('taken.add(best)', 'pass'),
        ('max(shares, key=', 'min(shares, key='),
        ('(len(a) + len(b) - max(0, common))', 'max(len(a), len(b))'),
        ('2 * right[row] / both', 'right[row] / both'),
        ('np.where(scored > 0, 2 * right[row]', 'np.where(both > 0, 2 * right[row]'),
        ('changes = len(bouts) - len(pieces)', 'changes = len(bouts)'),
        ('if truth[i].label == bout.label and i not in taken', 'if i not in taken'),
        ('bisect_right(stops, bout.start)', 'bisect_right(stops, bout.stop)'),
    ),
    *_mutants(
        'beast_lp/segmentation/split.py',
        ('tests/segmentation/test_split.py',),
        ('near[shift:] |= held_out[:-shift]', 'pass'),
        ('range(1, gap + 1)', 'range(1, gap)'),
        ('% every == every - 1', '% every == 0'),
    ),
    *_mutants(
        'beast_lp/video/thumbnails.py',
        ('tests/video/test_thumbnails.py', 'tests/video/test_selection.py'),
        ('np.abs(now - before).mean(1', '(now - before).mean(1'),
        ('above = inner > threshold', 'above = inner >= threshold'),
        ('np.flatnonzero(above) + step', 'np.flatnonzero(above)'),
        ('if len(energy) >= LONG_VIDEO', 'if len(energy) > LONG_VIDEO'),
        ('.max() > STILL_LEVELS', '.max() >= STILL_LEVELS'),
        (
            'np.sort(np.unique(digests, return_index=True)[1])',
            'np.unique(digests, return_index=True)[1]',
        ),
        ('(high - low > 1).any()', '(high - low > 0).any()'),
    ),
    *_mutants(
        'beast_lp/video/anchors.py',
        (
            'tests/video/test_anchors.py',
            'tests/video/test_properties.py',
            'tests/video/test_selection.py',
        ),
        (
            'np.lexsort((candidates, distances, labels))',
            'np.lexsort((candidates, -distances, labels))',
        ),
        ('in sorted(members, key=len)', 'in members'),
        ('cluster[~blocked[candidates[cluster]]]', 'cluster'),
        (
            'np.minimum(nearest[start:stop], squares, out=nearest[start:stop])',
            'nearest[start:stop] = squares',
        ),
        ('(frame - spacing + 1, frame + spacing))', '(frame - spacing, frame + spacing))'),
        ('nearest[low:high] = -1', 'pass'),
        ('int(nearest.argmax())', 'int(nearest.argmin())'),
        ('if nearest[latest] <= 0:', 'if nearest[latest] < 0:'),
        ('if not blocked[frame]:', 'if True:'),
        ('max(0, frame - spacing + 1) : frame + spacing', 'frame : frame + spacing'),
        ('footage.step + np.arange(wanted) * last', 'np.arange(wanted) * last'),
    ),
    *_mutants(
        'beast_lp/video/packets.py',
        ('tests/video/test_packets.py', 'tests/video/test_dali.py'),
        ('sum(lengths) + len(packets) + packet', 'len(packets) + packet'),
        ('count = 1 + max(', 'count = 2 + max('),
        (
            '= (context.name, context.width, context.height, context.extradata or',
            '= (context.name, context.extradata or',
        ),
    ),
    *_mutants(
        'beast_lp/video/dali.py',
        ('tests/video/test_dali.py',),
        ('if lengths != batch.lengths:', 'if False:'),
    ),
    *_mutants(
        'beast_lp/vit/attention.py',
        ('tests/vit/test_attention.py',),
        ("== 'medium'", "== 'highest'"),
        ('return medium or', 'return'),
        ('query.shape[-1] ** -0.5', 'query.shape[-1] ** -1'),
    ),
]
