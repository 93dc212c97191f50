"""Compare the time of a training with Keras' `fit`, with PyTorch, and with its kernels alone.

    python -m tests.benchmarks.train_time

It prints a CSV with a row for each network and way to train, on random images in batches of 128:
the median seconds of an epoch, the median milliseconds of a step, and how many times longer Keras'
`fit` takes. Each way has its own process. The processes take turns of two epochs, and only the
second one counts, because an iterator that waited for its turn takes longer to end. PyTorch has no
rows if it is not installed.
"""

import os
import statistics
import subprocess
import sys
import time

import numpy as np

ROUNDS = 3
BATCH = 128
NETWORKS = {  # image shape, images
    "scnnb": ((28, 28, 1), 20_000),
    "resnet20": ((32, 32, 3), 5_120),
    "vgg16": ((32, 32, 3), 512),
}
WAYS = ("stock", "float32", "bfloat16", "kernels", "torch-float32", "torch-bfloat16")


def measure(name):
    """Measure a network and print a row for each way to train."""
    ways = [way for way in WAYS if name == "scnnb" or not way.startswith("torch")]
    workers = {
        way: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.train_time", name, way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for way in ways
    }
    times = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, worker in workers.items():
            if worker.poll() is None:
                worker.stdin.write("go\n")
                worker.stdin.flush()
                answer = worker.stdout.readline().split()  # empty if the process has ended
                if answer:
                    times[way].append([float(each) for each in answer])
    stock = _medians(times["stock"])
    for way in ways:
        workers[way].wait()
        if times[way]:
            medians = _medians(times[way])
            factors = [slow / fast for slow, fast in zip(stock, medians, strict=True)]
            lowest, *_, highest = sorted(epoch for epoch, _ in times[way])
            print(
                f"{name},{NETWORKS[name][1]},{way},{len(times[way])},{medians[0]:.2f},{lowest:.2f},"
                f"{highest:.2f},{medians[1]:.1f},{factors[0]:.2f},{factors[1]:.2f}",
                flush=True,
            )


def _medians(times):
    return [statistics.median(each) for each in zip(*times, strict=True)]


class Turns:
    """Waits for each turn of two epochs, and prints the times of the second epoch and its steps."""

    epochs = 0

    def begin_epoch(self):
        """Wait before the first epoch of a turn, then start to measure."""
        if self.epochs % 2 == 0:
            sys.stdin.readline()
        self.steps, self.start = [], time.perf_counter()

    def begin_step(self):
        """Start to measure a step."""
        self.step_start = time.perf_counter()

    def end_step(self):
        """Keep the time of the step."""
        self.steps.append(time.perf_counter() - self.step_start)

    def end_epoch(self):
        """Print the times after the second epoch of a turn."""
        seconds = time.perf_counter() - self.start
        self.epochs += 1
        if self.epochs % 2 == 0:
            print(seconds, 1000 * statistics.median(self.steps), file=sys.__stdout__, flush=True)


def train_keras(name, way):
    """Train with Keras' `fit`, or with `scnnb.training.train`."""
    from types import SimpleNamespace

    import keras

    import data.dataset
    import scnnb
    from scnnb import training

    turns = Turns()
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: turns.begin_epoch(),
        on_train_batch_begin=lambda batch, logs: turns.begin_step(),
        on_train_batch_end=lambda batch, logs: turns.end_step(),
        on_epoch_end=lambda epoch, logs: turns.end_epoch(),
    )
    images, labels = _random_images(name)
    keras.utils.set_random_seed(0)
    model = scnnb.NETWORKS[name](images.shape[1:], 10)
    if way == "stock":
        model.compile(
            keras.optimizers.Adam(0.001),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
        images = images.astype(np.float32) / np.float32(255)
        model.fit(
            images, labels, batch_size=BATCH, epochs=2 * ROUNDS, verbose=0, callbacks=[callback]
        )
        return
    sys.stdout = sys.stderr  # stdout is for the times, not for the lines of the epochs
    training.train(
        model,
        SimpleNamespace(train_images=data.dataset.Images(images), train_labels=labels),
        epochs=2 * ROUNDS,
        batch_size=BATCH,
        optimizer="adam",
        learning_rate=0.001,
        augment="",
        precision=way,
        callbacks=[callback],
    )


def run_kernels(name):
    """Run only the convolutions and matrix products of each step, the least time of a step."""
    import tensorflow as tf
    from keras import layers

    import scnnb

    model = scnnb.NETWORKS[name](NETWORKS[name][0], 10)
    operands = [
        (
            layer,
            tf.random.normal((BATCH, *layer.input.shape[1:])),
            tf.random.normal(layer.kernel.shape),
            tf.random.normal((BATCH, *layer.output.shape[1:])),
        )
        for layer in model.layers
        if isinstance(layer, layers.Conv2D | layers.Dense)
    ]

    @tf.function
    def step():
        total = tf.constant(0.0)
        for number, (layer, x, kernel, gradient) in enumerate(operands):
            if isinstance(layer, layers.Dense):
                results = [x @ kernel, tf.matmul(x, gradient, transpose_a=True)]
                results += [tf.matmul(gradient, kernel, transpose_b=True)] if number else []
            else:
                options = {"strides": [1, *layer.strides, 1], "padding": layer.padding.upper()}
                results = [
                    tf.nn.conv2d(x, kernel, **options),
                    tf.raw_ops.Conv2DBackpropFilter(
                        input=x, filter_sizes=kernel.shape, out_backprop=gradient, **options
                    ),
                ]
                if number:
                    results += [
                        tf.raw_ops.Conv2DBackpropInput(
                            input_sizes=x.shape, filter=kernel, out_backprop=gradient, **options
                        )
                    ]
            total += sum(tf.reshape(each, [-1])[0] for each in results)
        return total

    _epochs(name, lambda images, labels: step())


def train_torch(name, way):
    """Train SCNNB in PyTorch, not compiled, with channels last, fused Adam and autocast."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 1280), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1280, 10)),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 0.001, fused=True)

    def step(images, labels):
        x = (
            torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        )  # still channels last in memory
        with torch.autocast("cpu", torch.bfloat16, enabled=way.endswith("bfloat16")):
            answers = model(x)
        loss = nn.functional.cross_entropy(answers.float(), torch.from_numpy(labels).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    _epochs(name, step)


def _epochs(name, step):
    images, labels = _random_images(name)
    rng, turns = np.random.default_rng(0), Turns()
    for _ in range(2 * ROUNDS):
        turns.begin_epoch()
        order = rng.permutation(len(labels))
        for start in range(0, len(labels), BATCH):
            chosen = order[start : start + BATCH]
            turns.begin_step()
            step(images[chosen], labels[chosen])
            turns.end_step()
        turns.end_epoch()


def _random_images(name):
    shape, count = NETWORKS[name]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), np.uint8)
    return images, rng.integers(0, 10, count).astype(np.int32)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if len(sys.argv) == 1:
        print("network,images,way,n,epoch_s,least,most,step_ms,epoch_factor,step_factor")
        for name in NETWORKS:
            measure(name)
    elif sys.argv[2].startswith("torch"):
        train_torch(*sys.argv[1:])
    elif sys.argv[2] == "kernels":
        run_kernels(sys.argv[1])
    else:
        train_keras(*sys.argv[1:])
