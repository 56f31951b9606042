"""Goldens of layers: outputs, gradients and state, from PyTorch's functional ops in float64.

Images are NHWC and kernels [height, width, in, out] (dense kernels [in, out]) in the file, and transposed here for
torch. `output_grad` is a random cotangent: the gradients stored are those of sum(output * output_grad).
"""

from common import Draws, Goldens, leaf, same_padding, single, to_nchw, to_nhwc

import torch
import torch.nn.functional as F

goldens = Goldens('layers')


def record(name, layer, config, forward, x, params=None, state=None, training=True, note=None):
    """Runs forward(x, params, state) -> (output, state after), takes gradients and stores everything."""
    draws = Draws(f'layers/{name}/cotangent')
    x = leaf(x) if x.is_floating_point() else x
    params = {key: leaf(value) for key, value in (params or {}).items()}
    state = state or {}
    output, state_after = forward(x, params, state)
    output_grad = draws.normal(*output.shape)
    output.backward(output_grad)
    description = {'layer': layer, 'config': config, 'training': training}
    if note:
        description['note'] = note
    goldens.case(name, description)
    goldens.put(name, 'input', x)
    goldens.put_all(name, 'params', params)
    goldens.put_all(name, 'state', state)
    goldens.put(name, 'output', output)
    goldens.put(name, 'output_grad', output_grad)
    if x.is_floating_point():
        goldens.put(name, 'input_grad', x.grad)
    goldens.put_all(name, 'params_grad', {key: value.grad for key, value in params.items()})
    goldens.put_all(name, 'state_after', state_after)


# Reference implementations


def dense(x, params, state):
    y = x @ params['kernel']
    return (y + params['bias'] if 'bias' in params else y), {}


def pad_same(x, config_kernel, strides, dilation=(1, 1), value=0.0):
    """Pads NCHW as TensorFlow's 'same' does."""
    top, bottom = same_padding(x.shape[2], config_kernel[0], strides[0], dilation[0])
    left, right = same_padding(x.shape[3], config_kernel[1], strides[1], dilation[1])
    return F.pad(x, (left, right, top, bottom), value=value)


def conv2d_of(config):
    def forward(x, params, state):
        planes = to_nchw(x)
        if config['padding'] == 'same':
            planes = pad_same(planes, config['kernelSize'], config['strides'], config['dilation'])
        kernel = params['kernel'].permute(3, 2, 0, 1)
        y = F.conv2d(planes, kernel, params.get('bias'), stride=config['strides'], dilation=config['dilation'])
        return to_nhwc(y), {}

    return forward


def max_pool2d_of(config):
    def forward(x, params, state):
        planes = to_nchw(x)
        if config['padding'] == 'same':
            planes = pad_same(planes, config['poolSize'], config['strides'], value=float('-inf'))
        return to_nhwc(F.max_pool2d(planes, config['poolSize'], config['strides'])), {}

    return forward


def avg_pool2d_of(config):
    def forward(x, params, state):
        planes = to_nchw(x)
        ones = torch.ones_like(planes)
        if config['padding'] == 'same':
            planes = pad_same(planes, config['poolSize'], config['strides'])
            ones = pad_same(ones, config['poolSize'], config['strides'])
        area = config['poolSize'][0] * config['poolSize'][1]
        total = F.avg_pool2d(planes, config['poolSize'], config['strides']) * area
        counted = F.avg_pool2d(ones, config['poolSize'], config['strides']) * area
        return to_nhwc(total / counted), {}

    return forward


def batch_norm_of(config, training):
    def forward(x, params, state):
        mean, variance = state['mean'].clone(), state['variance'].clone()
        channels = x.movedim(-1, 1) if x.ndim > 2 else x
        y = F.batch_norm(
            channels, mean, variance, params.get('scale'), params.get('bias'),
            training=training, momentum=1 - config['momentum'], eps=config['epsilon'],
        )
        return (y.movedim(1, -1) if x.ndim > 2 else y), {'mean': mean, 'variance': variance}

    return forward


def elementwise(function):
    return lambda x, params, state: (function(x), {})


# dense

for name, shape, units, bias in [
    ('dense', [3, 5], 4, True),
    ('dense_batch_1', [1, 7], 3, True),
    ('dense_no_bias', [3, 4], 6, False),
    ('dense_one_unit', [5, 3], 1, True),
    ('dense_rank_3', [3, 5, 6], 4, True),
    ('dense_rank_3_no_bias', [1, 4, 3], 5, False),
    ('dense_long', [2, 257], 3, True),
]:
    draws = Draws(f'layers/{name}')
    x = draws.normal(*shape)
    params = {'kernel': draws.normal(shape[-1], units, scale=shape[-1] ** -0.5)}
    if bias:
        params['bias'] = draws.normal(units)
    record(name, 'dense', {'units': units, 'bias': bias}, dense, x, params)

# conv2d

for name, shape, filters, kernel, strides, padding, dilation, bias in [
    ('conv2d_valid', [3, 7, 5, 2], 3, [3, 3], [1, 1], 'valid', [1, 1], True),
    ('conv2d_same', [3, 7, 5, 2], 3, [3, 3], [1, 1], 'same', [1, 1], True),
    ('conv2d_no_bias', [1, 6, 6, 3], 4, [3, 3], [1, 1], 'valid', [1, 1], False),
    ('conv2d_one_by_one', [3, 4, 5, 3], 2, [1, 1], [1, 1], 'valid', [1, 1], True),
    ('conv2d_one_by_one_strided', [1, 5, 6, 3], 2, [1, 1], [2, 2], 'same', [1, 1], True),
    ('conv2d_tall_kernel', [1, 9, 4, 2], 3, [5, 2], [1, 1], 'valid', [1, 1], True),
    ('conv2d_even_kernel_same', [3, 5, 6, 1], 2, [2, 4], [1, 1], 'same', [1, 1], True),
    ('conv2d_strided_valid', [3, 9, 8, 2], 3, [3, 3], [2, 2], 'valid', [1, 1], True),
    ('conv2d_strided_same', [3, 9, 8, 2], 3, [3, 3], [2, 2], 'same', [1, 1], True),
    ('conv2d_strided_same_even', [1, 8, 10, 1], 2, [3, 3], [2, 2], 'same', [1, 1], True),
    ('conv2d_uneven_strides', [1, 8, 7, 2], 3, [3, 2], [2, 3], 'same', [1, 1], True),
    ('conv2d_stride_beyond_kernel', [1, 10, 8, 2], 2, [2, 2], [4, 3], 'same', [1, 1], True),
    ('conv2d_dilated_valid', [3, 8, 9, 2], 3, [3, 3], [1, 1], 'valid', [2, 2], True),
    ('conv2d_dilated_same', [1, 7, 8, 2], 3, [3, 2], [1, 1], 'same', [2, 3], True),
    ('conv2d_kernel_covers_input', [3, 4, 3, 2], 5, [4, 3], [1, 1], 'valid', [1, 1], True),
    ('conv2d_many_channels', [1, 5, 5, 17], 9, [3, 3], [1, 1], 'same', [1, 1], True),
]:
    draws = Draws(f'layers/{name}')
    config = {
        'filters': filters, 'kernelSize': kernel, 'strides': strides,
        'padding': padding, 'dilation': dilation, 'bias': bias,
    }
    fan_in = kernel[0] * kernel[1] * shape[3]
    x = draws.normal(*shape)
    params = {'kernel': draws.normal(*kernel, shape[3], filters, scale=fan_in ** -0.5)}
    if bias:
        params['bias'] = draws.normal(filters)
    record(name, 'conv2d', config, conv2d_of(config), x, params)

# Pooling: normal draws have no ties, so the maximum's gradient has one owner.

for suffix, shape, pool, strides, padding in [
    ('valid', [3, 6, 4, 2], [2, 2], [2, 2], 'valid'),
    ('valid_remainder', [3, 7, 5, 2], [2, 2], [2, 2], 'valid'),
    ('same', [3, 7, 5, 2], [2, 2], [2, 2], 'same'),
    ('overlapping_valid', [1, 7, 8, 3], [3, 3], [2, 2], 'valid'),
    ('overlapping_same', [3, 7, 8, 1], [3, 3], [2, 2], 'same'),
    ('stride_1_same', [1, 5, 4, 2], [3, 3], [1, 1], 'same'),
    ('uneven', [1, 8, 9, 2], [3, 2], [2, 3], 'valid'),
    ('uneven_same', [1, 8, 9, 2], [2, 4], [1, 3], 'same'),
    ('stride_beyond_pool', [1, 9, 8, 1], [2, 2], [3, 4], 'valid'),
]:
    config = {'poolSize': pool, 'strides': strides, 'padding': padding}
    for layer, prefix, forward in [
        ('maxPool2d', 'max_pool2d', max_pool2d_of(config)),
        ('avgPool2d', 'avg_pool2d', avg_pool2d_of(config)),
    ]:
        name = f'{prefix}_{suffix}'
        # All below zero at the edges too: padding that counts as 0 would win a maximum.
        x = Draws(f'layers/{name}').normal(*shape, offset=-1.0)
        record(name, layer, config, forward, x)

# flatten

for name, shape in [
    ('flatten', [3, 4, 5, 2]),
    ('flatten_batch_1', [1, 3, 2, 2]),
    ('flatten_rank_2', [3, 5]),
    ('flatten_rank_3', [3, 2, 5]),
]:
    x = Draws(f'layers/{name}').normal(*shape)
    record(name, 'flatten', {}, elementwise(lambda t: t.reshape(t.shape[0], -1)), x)

# batchNorm

for name, shape, training, offset, note in [
    ('batch_norm_rank_2', [6, 5], True, 0.5, None),
    ('batch_norm_rank_2_batch_3', [3, 4], True, 0.0, None),
    ('batch_norm_rank_2_evaluation', [3, 5], False, 0.5, None),
    ('batch_norm_rank_2_evaluation_batch_1', [1, 5], False, 0.5, None),
    ('batch_norm_rank_3', [3, 4, 2], True, -0.5, None),
    ('batch_norm_rank_4', [3, 5, 4, 2], True, 0.5, None),
    ('batch_norm_rank_4_batch_1', [1, 3, 5, 3], True, -1.0, None),
    ('batch_norm_rank_4_evaluation', [3, 5, 4, 2], False, 0.5, None),
    ('batch_norm_offset', [8, 4, 4, 2], True, 100.0,
     'mean 100, deviation 1: E[x^2] - E[x]^2 in float32 loses this variance'),
]:
    draws = Draws(f'layers/{name}')
    channels = shape[-1]
    config = {'momentum': 0.9, 'epsilon': 1e-5}
    x = draws.normal(*shape, offset=offset)
    params = {'scale': draws.uniform(channels, low=0.5, high=1.5), 'bias': draws.normal(channels)}
    state = {'mean': draws.normal(channels, scale=0.5), 'variance': draws.uniform(channels, low=0.5, high=2.0)}
    record(name, 'batchNorm', config, batch_norm_of(config, training), x, params, state, training, note)

draws = Draws('layers/batch_norm_other_hyperparameters')
config = {'momentum': 0.75, 'epsilon': 0.125}
record(
    'batch_norm_other_hyperparameters', 'batchNorm', config, batch_norm_of(config, True), draws.normal(5, 3, scale=0.5),
    {'scale': draws.normal(3), 'bias': draws.normal(3)},
    {'mean': draws.normal(3), 'variance': draws.uniform(3, low=0.5, high=2.0)},
)

# Activations

for layer, function in [('relu', F.relu), ('sigmoid', torch.sigmoid), ('tanh', torch.tanh)]:
    for suffix, shape in [('', [3, 7]), ('_rank_4', [1, 3, 4, 2])]:
        name = f'{layer}{suffix}'
        draws = Draws(f'layers/{name}')
        x = draws.away_from_zero(*shape) if layer == 'relu' else draws.normal(*shape, scale=2.0)
        record(name, layer, {}, elementwise(function), x)

record(
    'relu_at_zero', 'relu', {}, elementwise(F.relu), single([[0.0, -1.5, 0.0], [2.0, 0.0, 0.5]]),
    note='the gradient at exactly 0 is 0',
)
# Beyond where exp overflows in float32 (88.7) and float64 (709.8). The tails are far below the tolerance, but for
# their being finite.
wide = single([[-1000.0, -100.0, -20.0, -5.0, -1.0], [0.0, 1.0, 20.0, 100.0, 1000.0]])
record('sigmoid_large', 'sigmoid', {}, elementwise(torch.sigmoid), wide)
record('tanh_large', 'tanh', {}, elementwise(torch.tanh), wide)


for approximate in [False, True]:
    prefix = 'gelu_approximate' if approximate else 'gelu'
    gelu = elementwise(lambda x, form='tanh' if approximate else 'none': F.gelu(x, approximate=form))
    config = {'approximate': approximate}
    record(prefix, 'gelu', config, gelu, Draws(f'layers/{prefix}').normal(3, 7, scale=2.0))
    record(f'{prefix}_large', 'gelu', config, gelu, wide)


def softmax(x, params, state):
    return F.softmax(x, dim=-1), {}


for name, shape, scale, offset in [
    ('softmax', [3, 7], 1.0, 0.0),
    ('softmax_batch_1', [1, 10], 2.0, 0.0),
    ('softmax_rank_3', [3, 2, 5], 2.0, 0.0),
    ('softmax_rank_4', [1, 2, 3, 4], 2.0, 0.0),
    ('softmax_offset', [3, 5], 1.0, 1000.0),
    ('softmax_spread', [3, 6], 400.0, 0.0),
]:
    note = {
        'softmax_offset': 'logits near 1000: exp overflows unless the maximum is subtracted',
        'softmax_spread': 'logits to about +-1000: most probabilities are 0',
    }.get(name)
    record(name, 'softmax', {}, softmax, Draws(f'layers/{name}').normal(*shape, scale=scale, offset=offset), note=note)

# residual: x + body(x). The body is called `body` here, whatever the container calls it.

for name, shape, kernel, padding_note in [
    ('residual', [3, 5, 4, 3], [3, 3], None),
    ('residual_batch_1', [1, 6, 5, 2], [3, 2], None),
]:
    draws = Draws(f'layers/{name}')
    channels = shape[-1]
    body = {
        'filters': channels, 'kernelSize': kernel, 'strides': [1, 1],
        'padding': 'same', 'dilation': [1, 1], 'bias': True,
    }

    def residual(x, params, state, body=body):
        inner = {'kernel': params['body.kernel'], 'bias': params['body.bias']}
        return x + conv2d_of(body)(x, inner, {})[0], {}

    record(
        name, 'residual', {'body': {'layer': 'conv2d', **body}}, residual, draws.normal(*shape),
        {
            'body.kernel': draws.normal(*kernel, channels, channels, scale=0.3),
            'body.bias': draws.normal(channels),
        },
    )

# embedding and positionEmbedding

for name, shape, vocabulary, width in [
    ('embedding', [3, 5], 7, 4),
    ('embedding_rank_1', [6], 4, 3),
    ('embedding_rank_3', [2, 3, 2], 5, 2),
]:
    draws = Draws(f'layers/{name}')
    record(
        name, 'embedding', {'vocabulary': vocabulary, 'width': width},
        lambda x, params, state: (F.embedding(x.long(), params['table']), {}),
        draws.integers(*shape, high=vocabulary), {'table': draws.normal(vocabulary, width)},
    )

for name, shape, length in [('position_embedding', [3, 4, 5], 4), ('position_embedding_shorter', [2, 3, 2], 7)]:
    draws = Draws(f'layers/{name}')
    record(
        name, 'positionEmbedding', {'length': length},
        lambda x, params, state: (x + F.embedding(torch.arange(x.shape[1]), params['table']), {}),
        draws.normal(*shape), {'table': draws.normal(length, shape[2])},
    )

# layerNorm

for name, shape, epsilon, offset, note in [
    ('layer_norm_rank_2', [4, 6], 1e-5, 0.5, None),
    ('layer_norm_rank_3', [2, 3, 5], 1e-5, 0.0, None),
    ('layer_norm_rank_4', [1, 2, 3, 4], 0.125, -1.0, None),
    ('layer_norm_offset', [3, 16], 1e-5, 100.0,
     'mean 100, deviation 1: E[x^2] - E[x]^2 in float32 loses this variance'),
]:
    draws = Draws(f'layers/{name}')
    features = shape[-1]
    record(
        name, 'layerNorm', {'epsilon': epsilon},
        lambda x, params, state, epsilon=epsilon: (
            F.layer_norm(x, x.shape[-1:], params['scale'], params['bias'], epsilon), {}
        ),
        draws.normal(*shape, offset=offset),
        {'scale': draws.uniform(features, low=0.5, high=1.5), 'bias': draws.normal(features)}, note=note,
    )

# lstm: torch's second bias is 0.


def lstm_of(units, sequences):
    def forward(x, params, state):
        zeros = torch.zeros(1, x.shape[0], units)
        weights = [params['kernel'].T, params['recurrentKernel'].T, params['bias'], torch.zeros(4 * units)]
        y, _, _ = torch._VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, True, False, True)
        return (y if sequences else y[:, -1]), {}

    return forward


for name, shape, units, sequences in [
    ('lstm', [3, 5, 4], 2, False),
    ('lstm_sequences', [2, 6, 3], 4, True),
    ('lstm_one_step', [3, 1, 2], 3, True),
    ('lstm_batch_1', [1, 9, 2], 3, False),
]:
    draws = Draws(f'layers/{name}')
    record(
        name, 'lstm', {'units': units, 'returnSequences': sequences}, lstm_of(units, sequences), draws.normal(*shape),
        {
            'kernel': draws.normal(shape[2], 4 * units, scale=shape[2] ** -0.5),
            'recurrentKernel': draws.normal(units, 4 * units, scale=units ** -0.5),
            'bias': draws.normal(4 * units),
        },
    )

# multiHeadAttention, feedForward, transformerBlock: against torch's own modules.


def causal_mask(time):
    return torch.full((time, time), float('-inf')).triu(1)


def attention_of(heads, causal):
    def forward(x, params, state):
        y, _ = F.multi_head_attention_forward(
            *[x.transpose(0, 1)] * 3, x.shape[2], heads, params['qkv.kernel'].T, params['qkv.bias'], None, None, False,
            0.0, params['output.kernel'].T, params['output.bias'], training=True, need_weights=False,
            attn_mask=causal_mask(x.shape[1]) if causal else None,
        )
        return y.transpose(0, 1), {}

    return forward


def projections(draws, shapes):
    params = {}
    for name, (rows, columns) in shapes.items():
        params[f'{name}.kernel'] = draws.normal(rows, columns, scale=rows ** -0.5)
        params[f'{name}.bias'] = draws.normal(columns, scale=0.5)
    return params


for name, shape, heads, causal in [
    ('multi_head_attention', [2, 5, 6], 2, False),
    ('multi_head_attention_causal', [2, 5, 6], 3, True),
    ('multi_head_attention_one_head', [3, 4, 3], 1, False),
    ('multi_head_attention_one_position', [2, 1, 4], 2, True),
]:
    draws = Draws(f'layers/{name}')
    width = shape[2]
    record(
        name, 'multiHeadAttention', {'heads': heads, 'causal': causal}, attention_of(heads, causal),
        draws.normal(*shape), projections(draws, {'qkv': (width, 3 * width), 'output': (width, width)}),
    )


def feed_forward(x, params, state):
    hidden = F.gelu(F.linear(x, params['expand.kernel'].T, params['expand.bias']))
    return F.linear(hidden, params['project.kernel'].T, params['project.bias']), {}


draws = Draws('layers/feed_forward')
record(
    'feed_forward', 'feedForward', {'ratio': 3}, feed_forward, draws.normal(2, 3, 4),
    projections(draws, {'expand': (4, 12), 'project': (12, 4)}),
)


def block_of(width, heads, causal, ratio):
    module = torch.nn.TransformerEncoderLayer(
        width, heads, ratio * width, dropout=0.0, activation='gelu', batch_first=True, norm_first=True,
    )

    def forward(x, params, state):
        names = {
            'norm1.weight': params['norm1.scale'], 'norm1.bias': params['norm1.bias'],
            'norm2.weight': params['norm2.scale'], 'norm2.bias': params['norm2.bias'],
            'self_attn.in_proj_weight': params['attention.qkv.kernel'].T,
            'self_attn.in_proj_bias': params['attention.qkv.bias'],
            'self_attn.out_proj.weight': params['attention.output.kernel'].T,
            'self_attn.out_proj.bias': params['attention.output.bias'],
            'linear1.weight': params['mlp.expand.kernel'].T, 'linear1.bias': params['mlp.expand.bias'],
            'linear2.weight': params['mlp.project.kernel'].T, 'linear2.bias': params['mlp.project.bias'],
        }
        mask = causal_mask(x.shape[1]) if causal else None
        return torch.func.functional_call(module, names, (x, mask), {'is_causal': causal}, strict=True), {}

    return forward


for name, shape, heads, causal, ratio in [
    ('transformer_block', [2, 5, 6], 2, False, 4),
    ('transformer_block_causal', [2, 6, 4], 2, True, 2),
]:
    draws = Draws(f'layers/{name}')
    width = shape[2]
    norms = {}
    for norm in ['norm1', 'norm2']:
        norms[f'{norm}.scale'] = draws.uniform(width, low=0.5, high=1.5)
        norms[f'{norm}.bias'] = draws.normal(width, scale=0.5)
    record(
        name, 'transformerBlock', {'heads': heads, 'causal': causal, 'mlpRatio': ratio},
        block_of(width, heads, causal, ratio), draws.normal(*shape),
        {
            **norms,
            **projections(draws, {
                'attention.qkv': (width, 3 * width), 'attention.output': (width, width),
                'mlp.expand': (width, ratio * width), 'mlp.project': (ratio * width, width),
            }),
        },
    )

# globalAvgPool2d

for name, shape in [('global_avg_pool2d', [3, 4, 5, 2]), ('global_avg_pool2d_batch_1', [1, 1, 3, 4])]:
    record(
        name, 'globalAvgPool2d', {},
        lambda x, params, state: (F.adaptive_avg_pool2d(to_nchw(x), 1).flatten(1), {}),
        Draws(f'layers/{name}').normal(*shape),
    )

# resnetBlock


def resnet_block_of(name, filters, strides, training):
    def forward(x, params, state):
        state_after, margins = {}, []

        def normalized(x, conv, norm, kernel, strides):
            config = {'kernelSize': [kernel, kernel], 'strides': strides, 'padding': 'same', 'dilation': [1, 1]}
            y, _ = conv2d_of(config)(x, {'kernel': params[f'{conv}.kernel']}, {})
            y, after = batch_norm_of({'momentum': 0.9, 'epsilon': 1e-5}, training)(
                y, {key: params[f'{norm}.{key}'] for key in ['scale', 'bias']},
                {key: state[f'{norm}.{key}'] for key in ['mean', 'variance']},
            )
            state_after.update({f'{norm}.{key}': value for key, value in after.items()})
            return y

        def relu(x):
            margins.append(x.detach().abs().min().item())
            return F.relu(x)

        y = relu(normalized(x, 'conv1', 'norm1', 3, strides))
        y = normalized(y, 'conv2', 'norm2', 3, [1, 1])
        shortcut = x
        if 'shortcutConv.kernel' in params:
            shortcut = normalized(x, 'shortcutConv', 'shortcutNorm', 1, strides)
        y = relu(shortcut + y)
        if min(margins) < 1e-4:
            raise AssertionError(f'{name} is within {min(margins)} of a kink: rounding in float32 could cross it')
        return y, state_after

    return forward


for name, shape, filters, strides, training in [
    ('resnet_block', [2, 4, 3, 3], 3, [1, 1], True),
    ('resnet_block_filters', [2, 4, 4, 2], 4, [1, 1], True),
    ('resnet_block_strides', [3, 5, 4, 2], 2, [2, 2], True),
    ('resnet_block_evaluation', [2, 5, 4, 2], 3, [2, 2], False),
]:
    draws = Draws(f'layers/{name}')
    channels = shape[3]
    x = draws.normal(*shape)
    params, state = {}, {}
    parts = [('conv1', 'norm1', 3, channels), ('conv2', 'norm2', 3, filters)]
    if channels != filters or max(strides) > 1:
        parts.append(('shortcutConv', 'shortcutNorm', 1, channels))
    for conv, norm, kernel, inputs in parts:
        fan_in = kernel * kernel * inputs
        params[f'{conv}.kernel'] = draws.normal(kernel, kernel, inputs, filters, scale=(2 / fan_in) ** 0.5)
        params[f'{norm}.scale'] = draws.uniform(filters, low=0.5, high=1.5)
        params[f'{norm}.bias'] = draws.normal(filters, scale=0.5)
        state[f'{norm}.mean'] = draws.normal(filters, scale=0.5)
        state[f'{norm}.variance'] = draws.uniform(filters, low=0.5, high=2.0)
    record(
        name, 'resnetBlock', {'filters': filters, 'strides': strides},
        resnet_block_of(name, filters, strides, training), x, params, state, training,
    )

# sequential networks, under the mean of the softmax cross-entropy: loss, logits and every gradient.


def network(name, layers, shape, labels_high, training):
    """Stores a classifier. `layers`: (child, layer, config); parameters are drawn in that order."""
    draws = Draws(f'layers/{name}')
    x = leaf(draws.normal(*shape))
    labels = draws.integers(shape[0], high=labels_high)
    params, state, state_after = {}, {}, {}
    margins = []
    y = x
    for child, layer, config in layers:
        if layer == 'conv2d':
            kernel = config['kernelSize']
            fan_in = kernel[0] * kernel[1] * y.shape[3]
            own = {
                'kernel': leaf(draws.normal(*kernel, y.shape[3], config['filters'], scale=(2 / fan_in) ** 0.5)),
                'bias': leaf(draws.normal(config['filters'], scale=0.1)),
            }
            y = conv2d_of(config)(y, own, {})[0]
        elif layer == 'dense':
            own = {
                'kernel': leaf(draws.normal(y.shape[1], config['units'], scale=y.shape[1] ** -0.5)),
                'bias': leaf(draws.normal(config['units'], scale=0.1)),
            }
            y = dense(y, own, {})[0]
        elif layer == 'batchNorm':
            own = {
                'scale': leaf(draws.uniform(y.shape[-1], low=0.5, high=1.5)),
                'bias': leaf(draws.normal(y.shape[-1], scale=0.1)),
            }
            before = {
                'mean': draws.normal(y.shape[-1], scale=0.1),
                'variance': draws.uniform(y.shape[-1], low=0.5, high=2.0),
            }
            y, after = batch_norm_of(config, training)(y, own, before)
            state.update({f'{child}.{key}': value for key, value in before.items()})
            state_after.update({f'{child}.{key}': value for key, value in after.items()})
        else:
            own = {}
            if layer == 'relu':
                margins.append(y.detach().abs().min().item())
                y = F.relu(y)
            elif layer == 'flatten':
                y = y.reshape(y.shape[0], -1)
            elif layer == 'maxPool2d':
                windows = F.unfold(to_nchw(y.detach()), config['poolSize'], stride=config['strides'])
                area = config['poolSize'][0] * config['poolSize'][1]
                best = windows.reshape(y.shape[0], y.shape[3], area, -1).topk(2, dim=2).values
                gap = best[:, :, 0] - best[:, :, 1]
                # A window whose maximum is 0 came out of relu: where the tie's gradient goes, relu stops it.
                margins.append(gap[best[:, :, 0] > 0].min().item())
                y = max_pool2d_of(config)(y, {}, {})[0]
            else:
                y = avg_pool2d_of(config)(y, {}, {})[0]
        params.update({f'{child}.{key}': value for key, value in own.items()})
    if margins and min(margins) < 1e-4:
        raise AssertionError(f'{name} is within {min(margins)} of a kink: rounding in float32 could cross it')
    loss = F.cross_entropy(y, labels.long())
    y.retain_grad()
    loss.backward()
    goldens.case(name, {
        'layer': 'sequential',
        'config': {'layers': [{'name': child, 'layer': layer, **config} for child, layer, config in layers]},
        'training': training,
        'loss': 'softmaxCrossEntropy',
    })
    goldens.put(name, 'input', x)
    goldens.put(name, 'labels', labels)
    goldens.put_all(name, 'params', params)
    goldens.put_all(name, 'state', state)
    goldens.put(name, 'output', y)
    goldens.put(name, 'loss', loss)
    goldens.put(name, 'output_grad', y.grad)
    goldens.put(name, 'input_grad', x.grad)
    goldens.put_all(name, 'params_grad', {key: value.grad for key, value in params.items()})
    goldens.put_all(name, 'state_after', state_after)


def conv(filters, padding):
    return {
        'filters': filters, 'kernelSize': [3, 3], 'strides': [1, 1],
        'padding': padding, 'dilation': [1, 1], 'bias': True,
    }


network('sequential', [
    ('conv2d_1', 'conv2d', conv(4, 'same')),
    ('relu_1', 'relu', {}),
    ('maxPool2d_1', 'maxPool2d', {'poolSize': [2, 2], 'strides': [2, 2], 'padding': 'valid'}),
    ('conv2d_2', 'conv2d', conv(5, 'valid')),
    ('relu_2', 'relu', {}),
    ('flatten_1', 'flatten', {}),
    ('dense_1', 'dense', {'units': 10, 'bias': True}),
], [2, 8, 8, 1], 10, True)

for name, training in [('sequential_batch_norm', True), ('sequential_batch_norm_evaluation', False)]:
    network(name, [
        ('conv2d_1', 'conv2d', conv(3, 'same')),
        ('batchNorm_1', 'batchNorm', {'momentum': 0.9, 'epsilon': 1e-5}),
        ('relu_1', 'relu', {}),
        ('avgPool2d_1', 'avgPool2d', {'poolSize': [2, 2], 'strides': [2, 2], 'padding': 'same'}),
        ('flatten_1', 'flatten', {}),
        ('dense_1', 'dense', {'units': 4, 'bias': True}),
    ], [3, 7, 5, 2], 4, training)

goldens.finish()
