"""Goldens of metrics, from scikit-learn in float64.

A case is a whole data set (`logits`, `labels`, `weights`), the uneven batches in which a test streams it
(`batchSizes` in the case's description, summing to its length), and what scikit-learn says of all of it at once:
`plain/...` without weights, `sample_weight/...` with them.

Averages are taken over all classes (labels=range(classes)): a class that occurs neither in labels nor in predictions
has precision, recall and f1 of 0 (zero_division=0) and counts in `macro`. scikit-learn's default, which averages over
the classes that occur, is stored as `macro_present`. Micro average, weighted average and accuracy don't differ.
"""

from common import Draws, Goldens, single

import numpy
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

goldens = Goldens('metrics')
NAMES = ['precision', 'recall', 'f1']


def scores(case, prefix, labels, predictions, classes, weights):
    """Everything scikit-learn says of one data set, under CASE/PREFIX."""
    every = list(range(classes))

    def put(average, values):
        for name, value in zip(NAMES, values):
            goldens.put(case, f'{prefix}/{name}/{average}', numpy.asarray(value, dtype=numpy.float64))

    def compute(average, over=every):
        return precision_recall_fscore_support(
            labels, predictions, labels=over, average=average, sample_weight=weights, zero_division=0,
        )[:3]

    goldens.put(case, f'{prefix}/accuracy', numpy.float64(accuracy_score(labels, predictions, sample_weight=weights)))
    goldens.put(
        case, f'{prefix}/confusion_matrix',
        confusion_matrix(labels, predictions, labels=every, sample_weight=weights).astype(numpy.float64),
    )
    for average in ['macro', 'micro', 'weighted']:
        put(average, compute(average))
    put('none', compute(None))
    put('macro_present', compute('macro', None))
    if classes == 2:
        put('binary', compute('binary', None))


def record(name, logits, labels, weights, batch_sizes, note=None):
    """logits [n, classes], [n, time, classes], or [n, 1]: one logit, class 1 where it is above 0."""
    if sum(batch_sizes) != len(logits):
        raise ValueError(f'{name}: batches of {sum(batch_sizes)} for {len(logits)} examples')
    logits = single(logits.numpy())
    one_logit = logits.shape[-1] == 1
    classes = 2 if one_logit else logits.shape[-1]
    if one_logit:
        if logits.abs().min() == 0:
            raise AssertionError(f'{name} has a logit of 0')
        predictions = (logits[..., 0] > 0).int()
    else:
        top = logits.topk(2, dim=-1).values
        if (top[..., 0] == top[..., 1]).any():
            raise AssertionError(f'{name} has a tie')
        predictions = logits.argmax(dim=-1).int()
    description = {'classes': classes, 'batchSizes': batch_sizes}
    if note:
        description['note'] = note
    goldens.case(name, description)
    goldens.put(name, 'logits', logits)
    goldens.put(name, 'labels', labels)
    goldens.put(name, 'predictions', predictions)
    goldens.put(name, 'weights', weights)
    spread = weights.reshape(weights.shape + (1,) * (labels.ndim - weights.ndim)).expand(labels.shape)
    flat = [t.reshape(-1).numpy() for t in (labels, predictions, spread)]
    scores(name, 'plain', flat[0], flat[1], classes, None)
    scores(name, 'sample_weight', flat[0], flat[1], classes, flat[2])


def imbalanced(draws, shape, probabilities):
    """Labels of the given frequencies."""
    edges = numpy.cumsum(probabilities)
    drawn = numpy.searchsorted(edges / edges[-1], draws.generator.random(shape), side='right')
    return torch.from_numpy(drawn.astype(numpy.int32))


def informed_logits(draws, labels, classes, strength):
    """Normal logits, raised at the right class: wrong now and then."""
    logits = draws.normal(*labels.shape, classes)
    return logits + strength * torch.nn.functional.one_hot(labels.long(), classes).double()


UNEVEN = [1, 7, 32, 3, 20, 16, 1, 10]

# Two classes

draws = Draws('metrics/binary')
labels = imbalanced(draws, [90], [0.7, 0.3])
record('binary', informed_logits(draws, labels, 2, 1.0), labels, draws.uniform(90, low=0.0, high=2.0), UNEVEN)

draws = Draws('metrics/binary_one_logit')
labels = imbalanced(draws, [90], [0.6, 0.4])
logits = draws.normal(90, 1) + labels.reshape(90, 1) * 1.5 - 0.75
record(
    'binary_one_logit', logits, labels, draws.uniform(90, low=0.0, high=2.0), UNEVEN,
    note='one logit an example: class 1 where it is above 0 (probability above 0.5)',
)

draws = Draws('metrics/binary_never_positive')
labels = imbalanced(draws, [20], [0.7, 0.3])
logits = draws.normal(20, 2) + torch.tensor([10.0, 0.0])
record(
    'binary_never_positive', logits, labels, draws.uniform(20, low=0.1, high=2.0), [3, 1, 16],
    note='class 1 is never predicted: its precision is 0, not NaN',
)

draws = Draws('metrics/binary_no_positives')
labels = torch.zeros(20, dtype=torch.int32)
record(
    'binary_no_positives', draws.normal(20, 2), labels, draws.uniform(20, low=0.1, high=2.0), [8, 8, 4],
    note='no label is 1: recall is 0, not NaN',
)

# Seven classes

frequencies = [0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.02]
draws = Draws('metrics/seven')
labels = imbalanced(draws, [150], frequencies)
record(
    'seven', informed_logits(draws, labels, 7, 1.5), labels, draws.uniform(150, low=0.0, high=2.0),
    [1, 7, 32, 3, 64, 1, 31, 11],
)

draws = Draws('metrics/seven_never_predicted')
labels = imbalanced(draws, [90], frequencies)
logits = informed_logits(draws, labels, 7, 1.5) - 100.0 * torch.tensor([0.0, 0, 1, 0, 0, 1, 0])
record(
    'seven_never_predicted', logits, labels, draws.uniform(90, low=0.0, high=2.0), UNEVEN,
    note='classes 2 and 5 are never predicted',
)

draws = Draws('metrics/seven_absent_from_labels')
labels = imbalanced(draws, [90], [0.4, 0.0, 0.2, 0.2, 0.2, 0.0, 0.0])
record(
    'seven_absent_from_labels', informed_logits(draws, labels, 7, 1.0), labels, draws.uniform(90, low=0.0, high=2.0),
    UNEVEN, note='classes 1, 5 and 6 are in no label, but are predicted',
)

draws = Draws('metrics/seven_absent_everywhere')
labels = imbalanced(draws, [60], [0.4, 0.3, 0.2, 0.0, 0.1, 0.0, 0.0])
logits = informed_logits(draws, labels, 7, 1.0) - 100.0 * torch.tensor([0.0, 0, 0, 1, 0, 1, 0])
record(
    'seven_absent_everywhere', logits, labels, draws.uniform(60, low=0.0, high=2.0), [5, 32, 1, 22],
    note='classes 3 and 5 are neither labels nor predictions: macro counts them as 0, macro_present leaves them out',
)

draws = Draws('metrics/seven_zero_weights')
labels = imbalanced(draws, [40], frequencies)
weights = draws.uniform(40, low=0.1, high=2.0)
weights[::3] = 0.0
weights[8:16] = 0.0
record(
    'seven_zero_weights', informed_logits(draws, labels, 7, 1.5), labels, weights, [8, 8, 8, 16],
    note='a third of the weights is 0, and all of those of the second batch',
)

draws = Draws('metrics/seven_one_example')
labels = draws.integers(1, high=7)
record('seven_one_example', informed_logits(draws, labels, 7, 5.0), labels, draws.uniform(1, low=0.5), [1])

draws = Draws('metrics/sequence')
labels = imbalanced(draws, [12, 5], [0.5, 0.3, 0.1, 0.1])
record(
    'sequence', informed_logits(draws, labels, 4, 1.0), labels, draws.uniform(12, low=0.1, high=2.0), [1, 7, 4],
    note='logits [batch, time, classes]; one weight an example, broadcast over its times',
)

# The weighted mean of a stream of numbers.

for name, shape, batch_sizes, offset in [
    ('mean', [90], UNEVEN, 0.0),
    ('mean_offset', [90], UNEVEN, 1000.0),
]:
    draws = Draws(f'metrics/{name}')
    values = draws.normal(*shape, offset=offset)
    weights = draws.uniform(*shape, low=0.0, high=2.0)
    goldens.case(name, {'batchSizes': batch_sizes})
    goldens.put(name, 'values', values)
    goldens.put(name, 'weights', weights)
    goldens.put(name, 'plain/mean', numpy.float64(numpy.average(values.numpy())))
    goldens.put(name, 'sample_weight/mean', numpy.float64(numpy.average(values.numpy(), weights=weights.numpy())))

goldens.finish()
