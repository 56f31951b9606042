"""What every generator of goldens shares: seeds, single-threaded float64, and a writer that repeats byte for byte.

The environment is pinned before torch is imported, so that results don't depend on the instruction set or the
number of cores of the machine: no vectorised dispatch in ATen, MKL's reproducible code path, one thread.
"""

import os

os.environ['ATEN_CPU_CAPABILITY'] = 'default'
os.environ['MKL_CBWR'] = 'COMPATIBLE'
os.environ['OMP_NUM_THREADS'] = '1'
os.environ['MKL_NUM_THREADS'] = '1'
os.environ['OPENBLAS_NUM_THREADS'] = '1'

import json
import platform
import struct
import sys
import zlib
from pathlib import Path

import numpy
import scipy
import sklearn
import safetensors
import safetensors.numpy
import torch

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.set_default_dtype(torch.float64)
torch.backends.mkldnn.enabled = False

DATA = Path(__file__).resolve().parent.parent / 'data'
FORMAT = '1'


class Draws:
    """Random numbers of one case: seeded by its name, so that adding a case changes no other.

    Every number drawn is exactly representable in float32: an implementation in float32 starts from the same
    inputs as the float64 reference, and what a comparison measures is its arithmetic alone.
    """

    def __init__(self, case):
        self.generator = numpy.random.Generator(numpy.random.PCG64(zlib.crc32(case.encode())))

    def normal(self, *shape, scale=1.0, offset=0.0):
        return single(self.generator.standard_normal(shape) * scale + offset)

    def uniform(self, *shape, low=0.0, high=1.0):
        return single(self.generator.uniform(low, high, shape))

    def away_from_zero(self, *shape, distance=0.05):
        """Normal numbers with |x| >= distance: for functions whose derivative jumps at zero."""
        x = self.generator.standard_normal(shape)
        return single(numpy.where(x < 0, x - distance, x + distance))

    def integers(self, *shape, high):
        return torch.from_numpy(self.generator.integers(0, high, shape, dtype=numpy.int32))


def single(array):
    """A float64 tensor of the float32 numbers nearest to `array`."""
    return torch.from_numpy(numpy.asarray(array).astype(numpy.float32).astype(numpy.float64))


class Goldens:
    """Collects the tensors and descriptions of one file, and writes or checks it."""

    def __init__(self, family):
        self.family = family
        self.tensors = {}
        self.cases = {}

    def case(self, name, description):
        if name in self.cases:
            raise ValueError(f'case {name} is there already')
        self.cases[name] = description

    def put(self, case, name, value):
        """Adds CASE/NAME. Floats are stored as F64, integers as I32; anything not finite is an error."""
        if case not in self.cases:
            raise ValueError(f'case {case} is not described')
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)
        if array.dtype.kind in 'iu':
            array = array.astype(numpy.int32)
        elif array.dtype == numpy.float64:
            if not numpy.isfinite(array).all():
                raise ValueError(f'{case}/{name} has values that are not finite')
        else:
            raise TypeError(f'{case}/{name} is {array.dtype}: float64 and integers only')
        key = f'{case}/{name}'
        if key in self.tensors:
            raise ValueError(f'{key} is there already')
        # Adding 0 turns -0 into 0, whose sign is an accident of the order of operations.
        self.tensors[key] = numpy.array(array + 0, dtype=array.dtype, order='C', ndmin=array.ndim)

    def put_all(self, case, prefix, values):
        for name, value in values.items():
            self.put(case, f'{prefix}/{name}', value)

    def bytes(self):
        metadata = {
            'format_version': FORMAT,
            'family': self.family,
            'versions': json.dumps({
                'python': '.'.join(platform.python_version_tuple()[:2]),
                'torch': torch.__version__.split('+')[0],
                'scikit-learn': sklearn.__version__,
                'numpy': numpy.__version__,
                'scipy': scipy.__version__,
            }, separators=(',', ':')),
            'cases': json.dumps(self.cases, separators=(',', ':')),
        }
        header = {'__metadata__': metadata}
        body = []
        offset = 0
        # The wide type first: every tensor is then aligned to its own size.
        for name in sorted(self.tensors, key=lambda key: (self.tensors[key].dtype != numpy.float64, key)):
            array = self.tensors[name]
            data = array.tobytes()
            header[name] = {
                'dtype': 'F64' if array.dtype == numpy.float64 else 'I32',
                'shape': list(array.shape),
                'data_offsets': [offset, offset + len(data)],
            }
            body.append(data)
            offset += len(data)
        # safetensors' own writer orders metadata by a randomised hash; this one repeats.
        text = json.dumps(header, separators=(',', ':')).encode()
        text += b' ' * (-len(text) % 8)
        return struct.pack('<Q', len(text)) + text + b''.join(body)

    def finish(self):
        """Writes data/FAMILY.safetensors; with --check compares instead, and exits 1 where a byte differs."""
        content = self.bytes()
        read_back = safetensors.numpy.load(content)
        for name, array in self.tensors.items():
            if read_back[name].dtype != array.dtype or not numpy.array_equal(read_back[name], array):
                raise AssertionError(f'{name} does not read back')
        path = DATA / f'{self.family}.safetensors'
        if '--check' in sys.argv[1:]:
            if path.read_bytes() != content:
                print(f'{path.name} differs from what this machine computes', file=sys.stderr)
                sys.exit(1)
            print(f'{path.name} is as computed')
            return
        DATA.mkdir(exist_ok=True)
        path.write_bytes(content)
        print(f'{path.name}: {len(self.cases)} cases, {len(self.tensors)} tensors, {len(content)} bytes')


def leaf(tensor):
    """A tensor that gradients are taken with respect to."""
    return tensor.clone().requires_grad_(True)


def to_nchw(x):
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


def same_padding(size, kernel, stride, dilation=1):
    """TensorFlow's and Keras's 'same': (before, after), the odd one at the end."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
