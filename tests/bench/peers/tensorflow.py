"""TensorFlow op by op, as it runs without tf.function: GradientTape, and one ResourceApplyAdam for each variable."""

import os
import sys

# In the place of this file's folder: this file is called as the library is, and would be imported for it.
sys.path[0] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python")

from serve import Unsupported, serve

LEARNING_RATE = 1e-5
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def open_peer(threads):
    import tensorflow

    if sys.argv[2] == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        raise ImportError("this TensorFlow sees no GPU")
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return {"version": tensorflow.__version__, "backend": sys.argv[2], "threads": threads, "start": start}


def start(unit):
    name, batch = unit["workload"], unit["batch"]
    networks = {"cifar10-cnn": cifar10, "mlp": mlp}
    if name not in networks:
        raise Unsupported(f"{name} is not written in TensorFlow's ops here")
    return training(*networks[name](batch))


def training(forward, variables, inputs, labels):
    import tensorflow as tf

    firsts = [tf.Variable(tf.zeros_like(v)) for v in variables]
    seconds = [tf.Variable(tf.zeros_like(v)) for v in variables]
    powers = {"beta1": 1.0, "beta2": 1.0}

    def step():
        powers["beta1"] *= BETA_1
        powers["beta2"] *= BETA_2
        # From the host in every step, as a loop over a data set has them.
        images, targets = tf.constant(inputs), tf.constant(labels)
        with tf.GradientTape() as tape:
            logits = forward(images)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        gradients = tape.gradient(loss, variables)
        for variable, first, second, gradient in zip(variables, firsts, seconds, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=powers["beta1"],
                beta2_power=powers["beta2"],
                lr=LEARNING_RATE,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=EPSILON,
                grad=gradient,
            )
        return float(loss)

    return step


def cifar10(batch):
    import tensorflow as tf

    shapes = [[3, 3, 3, 32], [3, 3, 32, 64], [3, 3, 64, 64], [1024, 64], [64, 10]]
    kernels, biases = parameters(shapes)

    def forward(x):
        for i in range(3):
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernels[i], 1, "VALID"), biases[i]))
            if i < 2:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, [batch, -1])
        x = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernels[3]), biases[3]))
        return tf.nn.bias_add(tf.matmul(x, kernels[4]), biases[4])

    return forward, kernels + biases, *examples([batch, 32, 32, 3], batch)


def mlp(batch):
    import tensorflow as tf

    kernels, biases = parameters([[784, 512], [512, 512], [512, 10]])

    def forward(x):
        for i in range(3):
            x = tf.nn.bias_add(tf.matmul(x, kernels[i]), biases[i])
            if i < 2:
                x = tf.nn.relu(x)
        return x

    return forward, kernels + biases, *examples([batch, 784], batch)


def parameters(shapes):
    import math

    import tensorflow as tf

    tf.random.set_seed(1)
    kernels = [tf.Variable(tf.random.normal(shape, stddev=math.sqrt(2 / math.prod(shape[:-1])))) for shape in shapes]
    return kernels, [tf.Variable(tf.zeros([shape[-1]])) for shape in shapes]


def examples(shape, batch):
    import numpy

    generator = numpy.random.default_rng(1)
    return generator.random(shape, dtype=numpy.float32), generator.integers(10, size=[batch], dtype=numpy.int32)


if __name__ == "__main__":
    serve(open_peer)
