"""Keras 3 on TensorFlow's CPU kernels: the function that `fit` runs for a batch, batches from a tf.data iterator."""

import os
import sys

# In the place of this file's folder: this file is called as the library is, and would be imported for it.
sys.path[0] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python")
os.environ["KERAS_BACKEND"] = "tensorflow"

from serve import Unsupported, serve

LEARNING_RATE = 1e-5


def open_peer(threads):
    import tensorflow

    if sys.argv[2] == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        raise ImportError("this TensorFlow sees no GPU")
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    keras.utils.set_random_seed(1)
    version = f"{keras.__version__} (TensorFlow {tensorflow.__version__})"
    return {"version": version, "backend": sys.argv[2], "threads": threads, "start": start}


def start(unit):
    name, batch = unit["workload"], unit["batch"]
    if name == "matmul":
        return product(unit["case"])
    if name == "inference":
        return inference(batch)
    networks = {"cifar10-cnn": cifar10, "mlp": mlp, "lstm": lstm, "gpt-nano": gpt_nano, "resnet8": resnet8}
    if name not in networks:
        raise Unsupported(f"{name} is not written in Keras here")
    return training(*networks[name](batch))


def training(model, inputs, targets):
    import keras
    import tensorflow

    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    batches = iter(tensorflow.data.Dataset.from_tensors((inputs, targets)).cache().repeat())
    model.make_train_function()

    def step():
        return float(model.train_function(batches)["loss"])

    return step


def inference(batch):
    import tensorflow

    model, inputs, _ = cifar10(batch)
    predict = tensorflow.function(lambda images: model(images, training=False))
    images = tensorflow.constant(inputs)

    def step():
        predict(images).numpy()

    return step


def product(case):
    import tensorflow

    sizes = [int(size) for size in case.split("x")]
    rows, inner, columns = sizes if len(sizes) == 3 else sizes * 3
    left, right = tensorflow.random.normal([rows, inner]), tensorflow.random.normal([inner, columns])

    def step():
        tensorflow.matmul(left, right)

    return step


def cifar10(batch):
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input([32, 32, 3]),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    return model, *examples([batch, 32, 32, 3], [batch], 10)


def mlp(batch):
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input([784]),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10),
        ]
    )
    return model, *examples([batch, 784], [batch], 10)


def lstm(batch):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input([64, 64]), layers.LSTM(128), layers.Dense(10)])
    return model, *examples([batch, 64, 64], [batch], 10)


def gpt_nano(batch, blocks=4, heads=4, width=128, context=128, vocabulary=65):
    import keras
    import numpy
    from keras import layers

    class Positions(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(context, width), initializer="random_normal")

        def call(self, x):
            return x + self.table

    tokens = keras.Input([context], dtype="int32")
    x = Positions()(layers.Embedding(vocabulary, width)(tokens))
    for _ in range(blocks):
        normal = layers.LayerNormalization(epsilon=1e-5)(x)
        attention = layers.MultiHeadAttention(heads, width // heads)
        x = layers.Add()([x, attention(normal, normal, use_causal_mask=True)])
        inner = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization(epsilon=1e-5)(x))
        x = layers.Add()([x, layers.Dense(width)(inner)])
    outputs = layers.Dense(vocabulary)(layers.LayerNormalization(epsilon=1e-5)(x))
    text = numpy.random.default_rng(1).integers(vocabulary, size=[batch, context + 1], dtype=numpy.int32)
    return keras.Model(tokens, outputs), text[:, :-1], text[:, 1:]


def resnet8(batch):
    import keras
    from keras import layers

    def convolve(x, filters, strides, size=3):
        convolution = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)
        return layers.BatchNormalization()(convolution(x))

    def block(x, filters, strides):
        body = convolve(layers.ReLU()(convolve(x, filters, strides)), filters, 1)
        shortcut = convolve(x, filters, strides, size=1) if strides > 1 else x
        return layers.ReLU()(layers.Add()([body, shortcut]))

    images = keras.Input([32, 32, 3])
    x = layers.ReLU()(convolve(images, 16, 1))
    x = block(block(block(x, 16, 1), 32, 2), 64, 2)
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, outputs), *examples([batch, 32, 32, 3], [batch], 10)


def examples(shape, label_shape, classes):
    import numpy

    generator = numpy.random.default_rng(1)
    return generator.random(shape, dtype=numpy.float32), generator.integers(classes, size=label_shape, dtype=numpy.int32)


if __name__ == "__main__":
    serve(open_peer)
