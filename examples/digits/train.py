#!/usr/bin/python3
"""Train a small neural network on the handwritten digits of scikit-learn.

A multi-layer perceptron with one hidden layer (ReLU, dropout, softmax), trained by minibatches
in plain NumPy.  After each epoch one line tells how far it is:

    epoch=3 val_accuracy=0.9472 loss=0.2134

It knows nothing of Assay except three environment variables, all of them optional:
ASSAY_BUDGET (number of epochs), ASSAY_CHECKPOINT_DIR (where to save and resume), and the signal
SIGTERM, on which it stops after the current minibatch.  The same seed gives the same lines, also
when the run was interrupted and resumed in between.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from types import FrameType
from typing import Dict, List, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

FEATURES = 64
CLASSES = 10
VALIDATION_ROWS = 360
SPLIT_SEED = 20  # the split is the same for every trial, whatever its --seed
ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Arrays = Dict[str, Floats]


def load_data() -> Tuple[Floats, Labels, Floats, Labels]:
    """Training pixels and labels, then validation pixels and labels; pixels within 0..1."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as problem:
        sys.exit(f"train.py: scikit-learn is needed (Debian: python3-sklearn): {problem}")
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    pixels = (pixels[order] / 16.0).astype(np.float32)
    labels = labels[order]
    rows = len(labels) - VALIDATION_ROWS
    return pixels[:rows], labels[:rows], pixels[rows:], labels[rows:]


class Network:
    """Weights, optimiser state and one training step."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        rng = np.random.RandomState([options.seed, 0])
        limit1, limit2 = math.sqrt(6 / FEATURES), math.sqrt(6 / options.units)
        self.weights: Arrays = {
            "w1": rng.uniform(-limit1, limit1, (FEATURES, options.units)).astype(np.float32),
            "b1": np.zeros(options.units, np.float32),
            "w2": rng.uniform(-limit2, limit2, (options.units, CLASSES)).astype(np.float32),
            "b2": np.zeros(CLASSES, np.float32),
        }
        self.first: Arrays = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.second: Arrays = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.steps = 0

    def accuracy(self, pixels: Floats, labels: Labels) -> float:
        hidden = np.maximum(pixels @ self.weights["w1"] + self.weights["b1"], 0)
        scores = hidden @ self.weights["w2"] + self.weights["b2"]
        right = (scores.argmax(axis=1) == labels) & np.isfinite(scores).all(axis=1)
        return float(right.mean())

    def step(self, pixels: Floats, labels: Labels, rng: np.random.RandomState) -> float:
        """Learn from one minibatch; returns the sum of its rows' cross-entropies."""
        rows = len(labels)
        keep = np.float32(1 - self.options.dropout)
        hidden = np.maximum(pixels @ self.weights["w1"] + self.weights["b1"], 0)
        alive = (hidden > 0) / keep
        if self.options.dropout > 0:
            alive *= rng.random_sample(hidden.shape) < keep
        hidden *= alive.astype(np.float32)
        scores = hidden @ self.weights["w2"] + self.weights["b2"]
        scores -= scores.max(axis=1, keepdims=True)
        exponentials = np.exp(scores)
        sums = exponentials.sum(axis=1, keepdims=True)
        loss = float((np.log(sums[:, 0]) - scores[np.arange(rows), labels]).sum())

        error = exponentials / sums
        error[np.arange(rows), labels] -= 1
        error /= rows
        error_hidden = (error @ self.weights["w2"].T) * alive.astype(np.float32)
        self._update({
            "w1": pixels.T @ error_hidden,
            "b1": error_hidden.sum(axis=0),
            "w2": hidden.T @ error,
            "b2": error.sum(axis=0),
        })
        return loss

    def _update(self, gradients: Arrays) -> None:
        self.steps += 1
        rate = np.float32(self.options.lr)
        for name, gradient in gradients.items():
            weight, first, second = self.weights[name], self.first[name], self.second[name]
            if self.options.optimizer == "adam":
                first += np.float32(1 - ADAM_BETA1) * (gradient - first)
                second += np.float32(1 - ADAM_BETA2) * (gradient * gradient - second)
                mean = first / np.float32(1 - ADAM_BETA1**self.steps)
                variance = second / np.float32(1 - ADAM_BETA2**self.steps)
                weight -= rate * mean / (np.sqrt(variance) + np.float32(ADAM_EPSILON))
            else:
                momentum = np.float32(self.options.momentum)
                first *= momentum
                first += gradient
                weight -= rate * (gradient + momentum * first if self.options.nesterov else first)

    def save(self, path: str, epoch: int, loss: float) -> None:
        """Write everything that resuming needs; a reader sees the old file or the new one."""
        groups = (("weights", self.weights), ("first", self.first), ("second", self.second))
        arrays = {f"{kind}_{name}": a for kind, group in groups for name, a in group.items()}
        arrays["progress"] = np.array([epoch, self.steps, loss])
        temporary = f"{path}.{os.getpid()}.tmp"
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)

    def load(self, path: str) -> Tuple[int, float]:
        """Take up the saved state; returns its last epoch (0: nothing usable) and that loss."""
        try:
            with np.load(path) as saved:
                if saved["weights_w1"].shape != self.weights["w1"].shape:
                    return 0, math.nan
                for kind in ("weights", "first", "second"):
                    group = getattr(self, kind)
                    for name in group:
                        group[name] = saved[f"{kind}_{name}"]
                epoch, self.steps = (int(number) for number in saved["progress"][:2])
                return epoch, float(saved["progress"][2])
        except FileNotFoundError:
            return 0, math.nan


def parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in ("true", "yes", "1"):
        return True
    if word in ("false", "no", "0", ""):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def parse_int(text: str) -> int:
    number = float(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(number)


def parse_options(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--units", type=parse_int, default=64, help="hidden units")
    parser.add_argument("--dropout", type=float, default=0.0, help="share of hidden units dropped")
    parser.add_argument("--batch", type=parse_int, default=32, help="rows in a minibatch")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
    # An empty value is what a parameter that does not apply to this trial leaves behind.
    parser.add_argument("--momentum", type=lambda s: float(s or 0), default=0.0, help="sgd only")
    parser.add_argument("--nesterov", type=parse_bool, nargs="?", const=True, default=False,
                        help="sgd only: look ahead along the momentum")
    parser.add_argument("--epochs", type=parse_int, default=20,
                        help="passes over the data (ASSAY_BUDGET, if set, has precedence)")
    parser.add_argument("--seed", type=parse_int, default=1)
    options = parser.parse_args(arguments)
    if os.environ.get("ASSAY_BUDGET"):
        options.epochs = parse_int(os.environ["ASSAY_BUDGET"])
    if options.lr <= 0:
        parser.error("--lr must be greater than 0")
    if options.units < 1 or options.batch < 1 or options.epochs < 1 or options.seed < 0:
        parser.error("--units, --batch and --epochs must be at least 1, --seed at least 0")
    if not 0 <= options.dropout < 1 or not 0 <= options.momentum < 1:
        parser.error("--dropout and --momentum must be at least 0 and less than 1")
    return options


class StopSignal:
    """Remembers that SIGTERM came."""

    def __init__(self) -> None:
        self.seen = False
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self.seen = True


def main() -> int:
    options = parse_options()
    stop = StopSignal()
    pixels, labels, val_pixels, val_labels = load_data()
    network = Network(options)
    directory = os.environ.get("ASSAY_CHECKPOINT_DIR")
    checkpoint = os.path.join(directory, "digits.npz") if directory else None
    np.seterr(all="ignore")  # a diverging run shows in its loss

    def tell(epoch: int, loss: float) -> None:
        accuracy = network.accuracy(val_pixels, val_labels)
        print(f"epoch={epoch} val_accuracy={accuracy:.4f} loss={loss:.4f}", flush=True)

    done, loss = network.load(checkpoint) if checkpoint else (0, math.nan)
    if done:  # what was saved may not have been told before the interruption
        print(f"resuming after epoch {done}")
        tell(done, loss)
    began = time.monotonic()
    for epoch in range(done + 1, options.epochs + 1):
        rng = np.random.RandomState([options.seed, epoch])
        order = rng.permutation(len(labels))
        total = 0.0
        for start in range(0, len(order), options.batch):
            if stop.seen:
                print(f"told to stop during epoch {epoch}", flush=True)
                return 0
            rows = order[start:start + options.batch]
            total += network.step(pixels[rows], labels[rows], rng)
        loss = total / len(labels)
        tell(epoch, loss)
        if not math.isfinite(loss):
            print("the loss is no longer finite: the learning rate is too high for this network")
            return 0
        if checkpoint:
            network.save(checkpoint, epoch, loss)
    print(f"trained for {time.monotonic() - began:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
