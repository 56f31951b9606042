"""Goldens of loss scaling: how torch's GradScaler moves its scale over random steps, and which of them it skips."""

from common import Draws, Goldens

import torch

STEPS = 60

goldens = Goldens('scaling')


def record(name, initial, interval, failing, note=None):
    """`failing` is how often a step's gradients are not finite; of those, half are infinite and half NaN."""
    draws = Draws(f'scaling/{name}')
    description = {'initial': initial, 'growthInterval': interval, 'steps': STEPS}
    if note:
        description['note'] = note
    goldens.case(name, description)
    fails = draws.uniform(STEPS) < failing
    is_nan = draws.uniform(STEPS) < 0.5
    parameter = torch.zeros(2, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scaler = torch.amp.GradScaler('cpu', init_scale=initial, growth_interval=interval)
    scales, trackers, skipped, updates = [], [], [], 0
    for step in range(STEPS):
        optimizer.zero_grad()
        scales.append(scaler.get_scale())
        scaler.scale(parameter.sum()).backward()
        if fails[step]:
            # One element is enough.
            parameter.grad[1] = float('nan') if is_nan[step] else float('inf')
        before = parameter.detach().clone()
        scaler.step(optimizer)
        scaler.update()
        made = not torch.equal(before, parameter.detach())
        updates += made
        skipped.append(int(not made))
        trackers.append(scaler._get_growth_tracker())
    # Every update takes 1 off: the gradient was unscaled exactly.
    if parameter.tolist() != [-updates, -updates] or skipped != fails.int().tolist():
        raise AssertionError(f'{name}: what was skipped is not what was not finite')
    if not 1 <= min(scales) <= max(scales) <= 2 ** 24:
        raise AssertionError(f'{name} leaves the bounds of scales')
    goldens.put(name, 'finite', (~fails).int())
    goldens.put(name, 'scale', torch.tensor(scales, dtype=torch.float64))
    goldens.put(name, 'streak', torch.tensor(trackers, dtype=torch.int32))
    goldens.put(name, 'skipped', torch.tensor(skipped, dtype=torch.int32))


record('balanced', 2.0 ** 16, 5, 0.15)
record('every_step_grows', 2.0 ** 10, 1, 0.5, note='the scale doubles after every step that is made')
record('rarely', 2.0 ** 12, 20, 0.02)
record('often', 2.0 ** 16, 2, 0.35)
record('never', 2.0 ** 4, 15, 0.0)

goldens.finish()
