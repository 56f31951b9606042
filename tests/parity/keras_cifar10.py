"""The recipe cifar10-cnn in Keras, under the same protocol: the reference that docs/results/cifar10-cnn.md names.

    python tests/parity/keras_cifar10.py --data ../shared/data/cifar-10-batches-bin --seed 0

45,000 of the 50,000 training images train, 5,000 are held out (drawn by the seed, equally many of each class), pixels
divided by 255; Adam 1e-3, batch 32, 10 epochs, another order in each, cross-entropy on logits; the weights of the epoch
with the best accuracy on the held-out images are put back, and the 10,000 test images are looked at once. Prints one
line of JSON. Needs tensorflow-cpu 2.21 (Keras 3.15).

The order is drawn here: where a global seed is set, fit(shuffle=True) repeats one and the same order in every epoch, since
each epoch starts the random op of its input pipeline afresh. (That costs 0.02 of test accuracy on this network.)
"""

import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="the folder of the .bin files")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--limit", type=int, default=0, help="take only so many training images (to try the script)")
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.utils.set_random_seed(options.seed)


def load(name):
    """Records of one label byte and 3,072 pixels (planes R, G, B), as NHWC."""
    records = np.fromfile(os.path.join(options.data, name), np.uint8).reshape(-1, 3073)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images.astype(np.float32) / 255, records[:, 0].astype(np.int32)


parts = [load(f"data_batch_{i}.bin") for i in range(1, 6)]
images = np.concatenate([part[0] for part in parts])
labels = np.concatenate([part[1] for part in parts])
test_images, test_labels = load("test_batch.bin")
if options.limit:
    images, labels = images[: options.limit], labels[: options.limit]

draw = np.random.default_rng(options.seed)
held_out = np.zeros(len(labels), bool)
for label in range(10):
    members = draw.permutation(np.flatnonzero(labels == label))
    held_out[members[: round(len(members) / 10)]] = True

layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((32, 32, 3)),
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
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)


train_images, train_labels = images[~held_out], labels[~held_out]
curve = {"accuracy": [], "loss": [], "val_accuracy": [], "val_loss": []}
best_accuracy, best_epoch, best_weights = -1.0, -1, None
begin = time.time()
for epoch in range(options.epochs):
    order = draw.permutation(len(train_labels))
    history = model.fit(
        train_images[order],
        train_labels[order],
        validation_data=(images[held_out], labels[held_out]),
        batch_size=32,
        shuffle=False,
        verbose=0,
    ).history
    for name in curve:
        curve[name].append(round(float(history[name][0]), 5))
    # The first of equals.
    if curve["val_accuracy"][-1] > best_accuracy:
        best_accuracy, best_epoch, best_weights = curve["val_accuracy"][-1], epoch + 1, model.get_weights()
seconds = time.time() - begin
model.set_weights(best_weights)
test_loss, test_accuracy = model.evaluate(test_images, test_labels, batch_size=250, verbose=0)
print(
    json.dumps(
        {
            "keras": keras.__version__,
            "seed": options.seed,
            "train": int((~held_out).sum()),
            "heldOut": int(held_out.sum()),
            "curve": curve,
            "best": {"epoch": best_epoch, "accuracy": best_accuracy},
            "test": {"loss": round(test_loss, 5), "accuracy": round(test_accuracy, 5)},
            "seconds": round(seconds, 1),
        }
    )
)
