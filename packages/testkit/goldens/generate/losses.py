"""Goldens of losses: values, weighted means and the means' gradients, from PyTorch in float64.

A loss gives `values` and its own `loss_weights` (ones; zeros where a label is ignored). The step's mean is

    mean = sum(values * w) / sum(w),   w = loss_weights * example_weights,

with `example_weights` broadcast from the left ([batch] against values [batch, time]), and 0 where sum(w) is 0: torch
gives NaN there, Tenon 0. `mean_uniform` is the same with example weights of 1.
"""

from common import Draws, Goldens, leaf, single

import torch
import torch.nn.functional as F

goldens = Goldens('losses')


def weighted_mean(values, weights):
    total = weights.sum()
    return (values * weights).sum() / total if total != 0 else (values * 0).sum()


def from_the_left(weights, like):
    return weights.reshape(weights.shape + (1,) * (like.ndim - weights.ndim)).expand(like.shape)


def record(name, loss, config, prediction, target, reference, example_weights, loss_weights=None, note=None):
    description = {'loss': loss, 'config': config}
    if note:
        description['note'] = note
    goldens.case(name, description)
    prediction = leaf(prediction)
    values = reference(prediction)
    own = torch.ones_like(values) if loss_weights is None else loss_weights
    goldens.put(name, 'prediction', prediction)
    goldens.put(name, 'target', target)
    goldens.put(name, 'values', values)
    goldens.put(name, 'loss_weights', own.detach())
    goldens.put(name, 'example_weights', example_weights)
    for suffix, weights in [('', own.detach() * from_the_left(example_weights, values)), ('_uniform', own.detach())]:
        mean = weighted_mean(values, weights)
        (gradient,) = torch.autograd.grad(mean, prediction, retain_graph=True)
        goldens.put(name, f'mean{suffix}', mean)
        goldens.put(name, f'prediction_grad{suffix}', gradient)


# softmaxCrossEntropy: values have the shape of the logits without the last axis.


def cross_entropy(target, smoothing=0.0, ignore=None):
    """torch wants the classes second; soft targets have the logits' shape, labels one axis fewer."""

    def reference(logits):
        flat = logits.reshape(-1, logits.shape[-1])
        if target.dtype == torch.int32:
            labels = target.reshape(-1).long()
            values = F.cross_entropy(
                flat, labels, reduction='none', label_smoothing=smoothing,
                ignore_index=-100 if ignore is None else ignore,
            )
        else:
            values = F.cross_entropy(flat, target.reshape(flat.shape), reduction='none', label_smoothing=smoothing)
        return values.reshape(logits.shape[:-1])

    return reference


def softmax_case(name, logits, target, example_weights, smoothing=None, ignore=None, note=None):
    config = {}
    if smoothing is not None:
        config['labelSmoothing'] = smoothing
    own = None
    if ignore is not None:
        config['ignoreLabel'] = ignore
        own = (target != ignore).double()
    record(
        name, 'softmaxCrossEntropy', config, logits, target,
        cross_entropy(target, smoothing or 0.0, ignore), example_weights, own, note,
    )


def one_hot(labels, classes):
    return F.one_hot(labels.long(), classes).double()


def soft_labels(draws, *shape):
    # Rounding to float32 leaves sums of 1 within 1e-7.
    return single(F.softmax(draws.normal(*shape), dim=-1).numpy())


for name, shape, smoothing in [
    ('softmax_labels', [5, 4], None),
    ('softmax_labels_batch_1', [1, 7], None),
    ('softmax_labels_two_classes', [6, 2], None),
    ('softmax_labels_smoothing', [5, 4], 0.1),
    ('softmax_labels_sequence', [3, 4, 6], None),
    ('softmax_labels_sequence_smoothing', [3, 4, 6], 0.1),
]:
    draws = Draws(f'losses/{name}')
    logits = draws.normal(*shape, scale=2.0)
    labels = draws.integers(*shape[:-1], high=shape[-1])
    softmax_case(name, logits, labels, draws.uniform(shape[0], low=0.1, high=2.0), smoothing)

draws = Draws('losses/softmax_labels_sequence_weights')
softmax_case(
    'softmax_labels_sequence_weights', draws.normal(3, 4, 6, scale=2.0), draws.integers(3, 4, high=6),
    draws.uniform(3, 4, low=0.0, high=2.0), note='example weights of rank 2, one for each time',
)

for name, shape, smoothing in [
    ('softmax_one_hot', [5, 4], None),
    ('softmax_one_hot_smoothing', [5, 4], 0.1),
    ('softmax_one_hot_sequence', [3, 4, 6], None),
]:
    draws = Draws(f'losses/{name}')
    logits = draws.normal(*shape, scale=2.0)
    target = one_hot(draws.integers(*shape[:-1], high=shape[-1]), shape[-1])
    softmax_case(name, logits, target, draws.uniform(shape[0], low=0.1, high=2.0), smoothing)

for name, shape, smoothing in [
    ('softmax_soft', [5, 4], None),
    ('softmax_soft_smoothing', [5, 4], 0.1),
    ('softmax_soft_sequence', [3, 2, 5], None),
]:
    draws = Draws(f'losses/{name}')
    logits = draws.normal(*shape, scale=2.0)
    softmax_case(name, logits, soft_labels(draws, *shape), draws.uniform(shape[0], low=0.1, high=2.0), smoothing)

draws = Draws('losses/softmax_soft_any_sum')
softmax_case(
    'softmax_soft_any_sum', draws.normal(4, 5, scale=2.0), draws.uniform(4, 5), draws.uniform(4, low=0.1, high=2.0),
    note='targets that do not sum to 1: -sum(target * logSoftmax(logits)), whose gradient is softmax * sum - target',
)

# Logits where exp overflows, and where a probability of float32 is 0: the loss is still the difference of logits.
large = single([
    [50.0, -50.0, 0.0, 25.0],
    [-50.0, 50.0, 49.0, 0.0],
    [1000.0, -1000.0, 0.0, 999.0],
    [-1000.0, 1000.0, 999.5, -999.0],
    [1000.0, 1000.0, 1000.0, 1000.0],
    [-1000.0, -1001.0, -1002.0, -1003.0],
])
large_labels = torch.tensor([0, 0, 1, 2, 3, 0], dtype=torch.int32)
large_weights = single([1.0, 0.5, 2.0, 0.25, 1.0, 1.5])
for name, target, smoothing in [
    ('softmax_large_labels', large_labels, None),
    ('softmax_large_labels_smoothing', large_labels, 0.1),
    ('softmax_large_one_hot', one_hot(large_labels, 4), None),
    ('softmax_large_soft', soft_labels(Draws('losses/softmax_large_soft'), 6, 4), None),
]:
    softmax_case(name, large, target, large_weights, smoothing)

# A label that is ignored: value 0, loss weight 0, gradient 0.
for name, shape, smoothing in [
    ('softmax_ignore', [6, 4], None),
    ('softmax_ignore_smoothing', [6, 4], 0.1),
    ('softmax_ignore_sequence', [3, 4, 5], None),
]:
    draws = Draws(f'losses/{name}')
    logits = draws.normal(*shape, scale=2.0)
    labels = draws.integers(*shape[:-1], high=shape[-1])
    labels.view(-1)[1::3] = -1
    softmax_case(name, logits, labels, draws.uniform(shape[0], low=0.1, high=2.0), smoothing, ignore=-1)

draws = Draws('losses/softmax_ignore_all')
softmax_case(
    'softmax_ignore_all', draws.normal(3, 4), torch.full((3,), -1, dtype=torch.int32), torch.ones(3), ignore=-1,
    note='every label ignored: the sum of weights is 0, and so are mean and gradient (torch gives NaN)',
)
draws = Draws('losses/softmax_zero_weights')
softmax_case(
    'softmax_zero_weights', draws.normal(3, 4), draws.integers(3, high=4), torch.zeros(3),
    note='example weights of 0: mean and gradient are 0 (torch gives NaN)',
)

# sigmoidCrossEntropy: values have the prediction's shape.


def sigmoid_case(name, logits, target, example_weights, smoothing=None, note=None):
    smoothed = target if smoothing is None else target * (1 - smoothing) + smoothing / 2
    record(
        name, 'sigmoidCrossEntropy', {} if smoothing is None else {'labelSmoothing': smoothing}, logits, target,
        lambda x: F.binary_cross_entropy_with_logits(x, smoothed, reduction='none'), example_weights, note=note,
    )


for name, shape, kind, smoothing in [
    ('sigmoid', [5, 3], 'hard', None),
    ('sigmoid_batch_1', [1, 4], 'hard', None),
    ('sigmoid_rank_1', [6], 'hard', None),
    ('sigmoid_one_logit', [5, 1], 'hard', None),
    ('sigmoid_soft', [5, 3], 'soft', None),
    ('sigmoid_sequence', [3, 4, 2], 'hard', None),
    ('sigmoid_smoothing', [5, 3], 'hard', 0.1),
]:
    draws = Draws(f'losses/{name}')
    logits = draws.normal(*shape, scale=2.0)
    target = draws.uniform(*shape) if kind == 'soft' else draws.integers(*shape, high=2).double()
    note = 'smoothing as in Keras: target * (1 - s) + s / 2 (torch has none here)' if smoothing else None
    sigmoid_case(name, logits, target, draws.uniform(shape[0], low=0.1, high=2.0), smoothing, note)

sigmoid_case(
    'sigmoid_large',
    single([[-1000.0, -100.0, -50.0], [50.0, 100.0, 1000.0], [-1000.0, 0.0, 1000.0], [-30.0, 0.0, 30.0]]),
    single([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.25, 0.75, 0.5]]),
    single([1.0, 0.5, 2.0, 1.5]),
)
draws = Draws('losses/sigmoid_element_weights')
sigmoid_case(
    'sigmoid_element_weights', draws.normal(4, 3, scale=2.0), draws.integers(4, 3, high=2).double(),
    draws.uniform(4, 3, low=0.0, high=2.0), note='example weights of rank 2, one for each element',
)

# meanSquaredError: values are squared differences, of the prediction's shape; the mean is the step's.

for name, shape in [
    ('mse', [5, 3]),
    ('mse_batch_1', [1, 4]),
    ('mse_rank_1', [6]),
    ('mse_one_output', [5, 1]),
    ('mse_rank_4', [3, 4, 3, 2]),
]:
    draws = Draws(f'losses/{name}')
    target = draws.normal(*shape)
    record(
        name, 'meanSquaredError', {}, draws.normal(*shape, scale=2.0), target,
        lambda x, target=target: F.mse_loss(x, target, reduction='none'),
        draws.uniform(shape[0], low=0.1, high=2.0),
    )

draws = Draws('losses/mse_element_weights')
target = draws.normal(4, 3)
record(
    'mse_element_weights', 'meanSquaredError', {}, draws.normal(4, 3, scale=2.0), target,
    lambda x: F.mse_loss(x, target, reduction='none'), draws.uniform(4, 3, low=0.0, high=2.0),
    note='example weights of rank 2, one for each element',
)

goldens.finish()
