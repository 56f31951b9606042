"""Goldens of explanations: saliency, Grad-CAM and the weights of attention, by torch's autograd and hooks in float64.

Images are NHWC and kernels [height, width, in, out] (dense kernels [in, out]) in the file, and transposed here for torch.
"""

from common import Draws, Goldens, leaf, to_nchw, to_nhwc

import torch
import torch.nn.functional as F

goldens = Goldens('explanations')


def network(name, shape, filters, classes, normalized):
    """conv2d (same), batchNorm in evaluation where asked for, relu, maxPool2d, conv2d (valid), relu, flatten, dense."""
    draws = Draws(f'explanations/{name}')
    x = leaf(draws.normal(*shape))
    targets = draws.integers(shape[0], high=classes)
    first, second = filters
    params = {
        'conv2d_1.kernel': draws.normal(3, 3, shape[3], first, scale=(2 / (9 * shape[3])) ** 0.5),
        'conv2d_1.bias': draws.normal(first, scale=0.1),
        'conv2d_2.kernel': draws.normal(3, 3, first, second, scale=(2 / (9 * first)) ** 0.5),
        'conv2d_2.bias': draws.normal(second, scale=0.1),
    }
    state = {}
    outputs = {}
    margins = []

    def shown(path, y):
        y.retain_grad()
        outputs[path] = y
        return y

    def conv(path, y, padding):
        planes = F.conv2d(to_nchw(y), params[f'{path}.kernel'].permute(3, 2, 0, 1), params[f'{path}.bias'], padding=padding)
        return shown(path, to_nhwc(planes))

    def relu(path, y):
        margins.append(y.detach().abs().min().item())
        return shown(path, F.relu(y))

    y = conv('conv2d_1', x, 1)
    if normalized:
        params['batchNorm_1.scale'] = draws.uniform(first, low=0.5, high=1.5)
        params['batchNorm_1.bias'] = draws.normal(first, scale=0.1)
        state['batchNorm_1.mean'] = draws.normal(first, scale=0.1)
        state['batchNorm_1.variance'] = draws.uniform(first, low=0.5, high=2.0)
        y = shown('batchNorm_1', to_nhwc(F.batch_norm(
            to_nchw(y), state['batchNorm_1.mean'], state['batchNorm_1.variance'],
            params['batchNorm_1.scale'], params['batchNorm_1.bias'], training=False, eps=1e-5,
        )))
    y = relu('relu_1', y)
    y = shown('maxPool2d_1', to_nhwc(F.max_pool2d(to_nchw(y), 2)))
    y = relu('relu_2', conv('conv2d_2', y, 0))
    y = shown('flatten_1', y.reshape(y.shape[0], -1))
    params['dense_1.kernel'] = draws.normal(y.shape[1], classes, scale=y.shape[1] ** -0.5)
    params['dense_1.bias'] = draws.normal(classes, scale=0.1)
    logits = y @ params['dense_1.kernel'] + params['dense_1.bias']
    # Ties within a window of the pooling that isn't all zeros would be kinks as well; random numbers have none.
    if min(margins) < 1e-4:
        raise AssertionError(f'{name} is within {min(margins)} of a kink: rounding in float32 could cross it')

    logits[torch.arange(shape[0]), targets.long()].sum().backward()
    goldens.case(name, {'classes': classes, 'filters': list(filters), 'normalized': normalized})
    goldens.put(name, 'input', x)
    goldens.put(name, 'targets', targets)
    goldens.put_all(name, 'params', params)
    goldens.put_all(name, 'state', state)
    goldens.put(name, 'logits', logits)
    goldens.put(name, 'saliency', x.grad)
    for path, output in outputs.items():
        goldens.put(name, f'activation/{path}', output)
        if output.ndim == 4:
            alpha = output.grad.mean(dim=(1, 2), keepdim=True)
            goldens.put(name, f'grad_cam/{path}', F.relu((alpha * output).sum(dim=3)))


def attention(name, shape, heads, causal):
    draws = Draws(f'explanations/{name}')
    width = shape[2]
    x = draws.normal(*shape)
    params = {
        'qkv.kernel': draws.normal(width, 3 * width, scale=width ** -0.5),
        'qkv.bias': draws.normal(3 * width, scale=0.1),
        'output.kernel': draws.normal(width, width, scale=width ** -0.5),
        'output.bias': draws.normal(width, scale=0.1),
    }
    sequence = x.transpose(0, 1)
    mask = torch.full((shape[1], shape[1]), float('-inf')).triu(1) if causal else None
    _, weights = F.multi_head_attention_forward(
        sequence, sequence, sequence, width, heads,
        params['qkv.kernel'].T, params['qkv.bias'], None, None, False, 0.0,
        params['output.kernel'].T, params['output.bias'],
        training=False, need_weights=True, attn_mask=mask, average_attn_weights=False,
    )
    goldens.case(name, {'heads': heads, 'causal': causal})
    goldens.put(name, 'input', x)
    goldens.put_all(name, 'params', params)
    goldens.put(name, 'weights', weights)


network('convolutional', [3, 8, 6, 2], [4, 5], 6, False)
network('convolutional_batch_norm', [2, 9, 8, 1], [3, 4], 5, True)
attention('attention', [2, 5, 6], 3, False)
attention('attention_causal', [2, 6, 8], 2, True)

goldens.finish()
