"""Goldens of optimizers: trajectories of 20 steps from torch.optim in float64.

The gradients of a step are given (`grads/STEP/...`), and what the parameters are after it (`params/STEP/...`, STEP
counting from 0); `initial/...` is where they start, `lr` the learning rate used at every step.
"""

import math

from common import Draws, Goldens

import numpy
import torch

STEPS = 20
SHAPES = {'a': [3, 4], 'b.c': [5]}

goldens = Goldens('optimizers')


def draw_gradients(draws, scale):
    """Normal gradients, whose last element of b.c is always 0: an element that only weight decay may move."""
    steps = []
    for step in range(STEPS):
        # Some steps are ten times smaller, so that a bound on the norm holds in some and not in others.
        size = scale * (0.1 if step % 4 == 1 else 1.0)
        gradients = {name: draws.normal(*shape, scale=size) for name, shape in SHAPES.items()}
        gradients['b.c'][-1] = 0.0
        steps.append(gradients)
    return steps


def clip_torch(parameters, max_norm):
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)


def clip_formula(parameters, max_norm):
    """g * min(1, max_norm / norm): the formula of the papers, without torch's 1e-6 in the denominator."""
    norm = torch.sqrt(sum((p.grad ** 2).sum() for p in parameters))
    for p in parameters:
        p.grad.mul_(min(1.0, max_norm / norm.item()))
    return norm


def record(name, optimizer, config, make, scale=1.0, schedule=None, clip=None, quadratic=False, note=None):
    """make(parameters) -> torch optimizer; schedule(optimizer) -> torch scheduler; clip: 'torch' or 'formula'."""
    draws = Draws(f'optimizers/{name}')
    initial = {key: draws.normal(*shape) for key, shape in SHAPES.items()}
    parameters = {key: value.clone().requires_grad_(True) for key, value in initial.items()}
    given = None if quadratic else draw_gradients(draws, scale)
    description = {'optimizer': optimizer, 'config': config, 'steps': STEPS}
    if clip:
        description['clipFormula'] = clip
    if quadratic:
        description['objective'] = 'quadratic'
    if note:
        description['note'] = note
    goldens.case(name, description)
    goldens.put_all(name, 'initial', initial)
    if quadratic:
        curvature = {key: draws.uniform(*shape, low=0.1, high=2.0) for key, shape in SHAPES.items()}
        center = {key: draws.normal(*shape) for key, shape in SHAPES.items()}
        goldens.put_all(name, 'curvature', curvature)
        goldens.put_all(name, 'center', center)
    torch_optimizer = make(list(parameters.values()))
    scheduler = schedule(torch_optimizer) if schedule else None
    rates, norms, losses = [], [], []
    for step in range(STEPS):
        if quadratic:
            torch_optimizer.zero_grad()
            loss = sum((curvature[key] * (p - center[key]) ** 2).sum() / 2 for key, p in parameters.items())
            loss.backward()
            losses.append(loss.item())
        else:
            for key, p in parameters.items():
                p.grad = given[step][key].clone()
        goldens.put_all(name, f'grads/{step}', {key: p.grad.clone() for key, p in parameters.items()})
        if clip:
            clipper = clip_torch if clip == 'torch' else clip_formula
            norms.append(clipper(list(parameters.values()), config['clipByGlobalNorm']).item())
        rates.append(float(torch_optimizer.param_groups[0]['lr']))
        torch_optimizer.step()
        goldens.put_all(name, f'params/{step}', {key: p.detach().clone() for key, p in parameters.items()})
        if scheduler:
            scheduler.step()
    goldens.put(name, 'lr', numpy.array(rates))
    if clip:
        if not 2 < sum(norm > config['clipByGlobalNorm'] for norm in norms) < STEPS - 2:
            raise AssertionError(f'{name} should clip at some steps and not at others')
        goldens.put(name, 'norm', numpy.array(norms))
    if quadratic:
        goldens.put(name, 'loss', numpy.array(losses))


def sgd(**options):
    return lambda parameters: torch.optim.SGD(parameters, **options)


def adagrad(**options):
    return lambda parameters: torch.optim.Adagrad(parameters, **options)


def adam(**options):
    return lambda parameters: torch.optim.Adam(parameters, **options)


def adamw(**options):
    return lambda parameters: torch.optim.AdamW(parameters, **options)


# sgd

record('sgd', 'sgd', {'learningRate': 0.1}, sgd(lr=0.1))
record('sgd_momentum', 'sgd', {'learningRate': 0.1, 'momentum': 0.9}, sgd(lr=0.1, momentum=0.9))
record(
    'sgd_nesterov', 'sgd', {'learningRate': 0.1, 'momentum': 0.9, 'nesterov': True},
    sgd(lr=0.1, momentum=0.9, nesterov=True),
)
record(
    'sgd_weight_decay', 'sgd', {'learningRate': 0.1, 'weightDecay': 0.05}, sgd(lr=0.1, weight_decay=0.05),
    note='coupled: the decay is added to the gradient',
)
record(
    'sgd_momentum_weight_decay', 'sgd', {'learningRate': 0.1, 'momentum': 0.9, 'weightDecay': 0.05},
    sgd(lr=0.1, momentum=0.9, weight_decay=0.05),
    note='coupled: the decay is added to the gradient, before the momentum',
)
record(
    'sgd_nesterov_weight_decay', 'sgd', {'learningRate': 0.05, 'momentum': 0.8, 'nesterov': True, 'weightDecay': 0.01},
    sgd(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
)
record(
    'sgd_momentum_quadratic', 'sgd', {'learningRate': 0.1, 'momentum': 0.9}, sgd(lr=0.1, momentum=0.9), quadratic=True,
)

# adagrad

record(
    'adagrad', 'adagrad', {'learningRate': 0.01, 'epsilon': 1e-10, 'initialAccumulator': 0},
    adagrad(lr=0.01, eps=1e-10),
)
record(
    'adagrad_initial_accumulator', 'adagrad', {'learningRate': 0.01, 'epsilon': 1e-10, 'initialAccumulator': 0.1},
    adagrad(lr=0.01, eps=1e-10, initial_accumulator_value=0.1),
)
record(
    'adagrad_epsilon', 'adagrad', {'learningRate': 0.1, 'epsilon': 0.01, 'initialAccumulator': 0},
    adagrad(lr=0.1, eps=0.01), scale=0.01,
    note='gradients as small as epsilon, which is added after the square root',
)

# adam and adamw

defaults = {'learningRate': 0.001, 'beta1': 0.9, 'beta2': 0.999, 'epsilon': 1e-8}
record('adam', 'adam', defaults, adam())
record(
    'adam_other_betas', 'adam', {'learningRate': 0.01, 'beta1': 0.8, 'beta2': 0.95, 'epsilon': 1e-5},
    adam(lr=0.01, betas=(0.8, 0.95), eps=1e-5),
)
record(
    'adam_epsilon', 'adam', {'learningRate': 0.01, 'beta1': 0.9, 'beta2': 0.999, 'epsilon': 1e-3},
    adam(lr=0.01, eps=1e-3), scale=1e-3,
    note='gradients as small as epsilon, which is added after the square root of the corrected second moment',
)
record('adam_quadratic', 'adam', {**defaults, 'learningRate': 0.1}, adam(lr=0.1), quadratic=True)
record('adamw', 'adamw', {**defaults, 'weightDecay': 0.01}, adamw(weight_decay=0.01))
record(
    'adamw_strong_decay', 'adamw',
    {'learningRate': 0.05, 'beta1': 0.8, 'beta2': 0.95, 'epsilon': 1e-5, 'weightDecay': 0.3},
    adamw(lr=0.05, betas=(0.8, 0.95), eps=1e-5, weight_decay=0.3),
    note='decoupled: parameters shrink by learning rate times decay',
)

# Clipping by the global norm, before the optimizer.

for clip in ['torch', 'formula']:
    note = {
        'torch': 'gradients times min(1, max / (norm + 1e-6)), as clip_grad_norm_ does',
        'formula': 'gradients times min(1, max / norm)',
    }[clip]
    record(
        f'sgd_clip_{clip}', 'sgd', {'learningRate': 0.1, 'clipByGlobalNorm': 1.0}, sgd(lr=0.1), clip=clip, note=note,
        scale=0.4,
    )
    record(
        f'adam_clip_{clip}', 'adam', {**defaults, 'learningRate': 0.01, 'clipByGlobalNorm': 1.0}, adam(lr=0.01),
        clip=clip, note=note, scale=0.4,
    )

# Schedules


def step_schedule(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.5)


def cosine_schedule(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=0.001)


def warmup_cosine_of(peak, end, warmup=5):
    """Linear from peak / warmup, then half a cosine from the peak, which would reach `end` at step 20."""

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        turn = (step - warmup) / (STEPS - warmup)
        return (end + (peak - end) * (1 + math.cos(math.pi * turn)) / 2) / peak

    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


step_config = {'schedule': 'step', 'initial': 0.1, 'stepSize': 6, 'factor': 0.5}
cosine_config = {'schedule': 'cosine', 'initial': 0.1, 'steps': STEPS, 'end': 0.001}
warmup_config = {'schedule': 'warmupCosine', 'peak': 0.1, 'warmupSteps': 5, 'cosineSteps': 15, 'end': 0.002}
record('sgd_step_schedule', 'sgd', {'learningRate': step_config}, sgd(lr=0.1), schedule=step_schedule)
record('sgd_cosine_schedule', 'sgd', {'learningRate': cosine_config}, sgd(lr=0.1), schedule=cosine_schedule)
record(
    'sgd_momentum_warmup_cosine', 'sgd', {'learningRate': warmup_config, 'momentum': 0.9}, sgd(lr=0.1, momentum=0.9),
    schedule=warmup_cosine_of(0.1, 0.002),
)
record(
    'adamw_warmup_cosine', 'adamw', {**defaults, 'learningRate': {**warmup_config, 'peak': 0.05}, 'weightDecay': 0.1},
    adamw(lr=0.05, weight_decay=0.1), schedule=warmup_cosine_of(0.05, 0.002),
    note='the decoupled decay follows the scheduled learning rate',
)

goldens.finish()
