"""The feature network of a data set, trained if need be: minutes for MNIST on one core, seconds for small images."""

import hashlib
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from filelock import FileLock
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import trange

from readers.datasets.digits import load_digits
from readers.image_data import ImageData
from relatent.cache import say_unkept, user_cache
from training.metrics.features import BATCH, FEATURES, SHIPPED, FeatureNetwork, Features, load_features
from training.metrics.frechet import frechet_distance
from training.metrics.weights import WeightsError, save_weights
from training.run_folder import code_revision

Task = Literal["classes", "rotations"]
Batch = tuple[Tensor, Tensor]


class Budget(NamedTuple):
    """How a network is trained: Adam under a one-cycle schedule on the cross-entropy.

    Attributes:
        batch: Images in a step.
        learning_rate: The schedule's highest.
        images: Most images seen in all.
        passes: Most times that an image is seen.
    """

    batch: int = 100
    learning_rate: float = 5e-3
    images: int = 240_000
    passes: int = 20


BUDGETS: dict[Task, Budget] = {"classes": Budget(), "rotations": Budget(images=40_000)}


def feature_network(data: ImageData) -> Features:
    """The network for a data set: the shipped one for MNIST, else the cached one, trained first if need be.

    Args:
        data: The data set.

    Returns:
        The network, on the CPU; where its files in the cache are damaged, it is trained anew.

    Raises:
        WeightsError: If the files of MNIST's are missing or damaged.
    """
    return load_features(SHIPPED) if data.name == "mnist" else _cached(data)


def _cached(data: ImageData) -> Features:
    if data.name == "digits":
        data = load_digits(None)  # whole, so that the measure does not change with `train_samples`
    elif data.train_labels is not None and len(data.train_labels.unique()) < 2:
        data = data._replace(train_labels=None, test_labels=None)  # one class tells nothing apart

    task = task_of(data)
    key = hashlib.sha256(f"{data.fingerprint()} {BUDGETS[task]}".encode()).hexdigest()[:16]
    try:
        path = user_cache() / "features" / f"{re.sub(r'[^0-9A-Za-z]+', '-', data.name)}-{key}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Cells of a table run side by side: one of them trains, the others wait and read the same weights.
        with FileLock(path.with_suffix(".lock")):
            try:
                return load_features(path)
            except (WeightsError, RuntimeError, KeyError, TypeError, ValueError):  # missing or damaged
                train_features(data, path)
        return load_features(path)
    except (OSError, RuntimeError) as error:  # torch's own writer knows but the latter
        say_unkept("the network that measures samples is not kept, and trained anew each time", f"{error}")
        return Features(fit(data, BUDGETS[task], seed=0), task == "classes")


def train_features(data: ImageData, path: Path, *, seed: int = 0) -> dict[str, Any]:
    """Train a network on a data set and save it.

    Args:
        data: The data set; its training images are learned, its test images measure the accuracy.
        path: Where to save, without suffix: PATH.pt and PATH.json.
        seed: Of initial weights, batches and rotations.

    Returns:
        The record: sha256, task, accuracy on the test images in [0, 1], the Frechet distance between real training
        and real test images (which no generator need beat), settings, data, code revision, date.
    """
    task = task_of(data)
    network = fit(data, BUDGETS[task], seed=seed)
    features = Features(network, task == "classes")
    count = min(len(data.train), len(data.test))
    record = {
        "task": task,
        "channels": data.shape[0],
        "classes": network.head.out_features,
        "features": FEATURES,
        "test_accuracy": accuracy(network, data, seed=seed),
        "frechet_train_test": frechet_distance(features.of(data, data.train[:count]), features.of(data, data.test)),
        "settings": BUDGETS[task]._asdict() | {"seed": seed},
        "data": {"name": data.name, "sha256": data.fingerprint()},
        "torch": torch.__version__,
        "code_revision": code_revision(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    return save_weights(path, network.state_dict(), record)


def task_of(data: ImageData) -> Task:
    """What a network learns from the data: their classes, or, where they have none, rotations."""
    return "rotations" if data.train_labels is None else "classes"


def fit(data: ImageData, budget: Budget, *, seed: int) -> FeatureNetwork:
    """A network trained on the training images, in evaluation mode."""
    classes = 4 if data.train_labels is None else int(data.train_labels.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FeatureNetwork(data.shape[0], classes).to(memory_format=torch.channels_last)
    size = min(budget.batch, len(data.train))
    steps = max(min(budget.images, budget.passes * len(data.train)) // size, 10)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, budget.learning_rate, total_steps=steps)
    batches = _batches(data, size, torch.Generator().manual_seed(seed))
    for _ in trange(steps, desc=f"features of {data.name}", unit="step", disable=not sys.stderr.isatty()):
        x, target = next(batches)
        loss = cross_entropy(network.classify(x.contiguous(memory_format=torch.channels_last)), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def accuracy(network: FeatureNetwork, data: ImageData, *, seed: int) -> float:
    """Share of test images whose class (or rotation, drawn anew) the network tells, in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    right = 0
    for index in torch.arange(len(data.test)).split(BATCH):
        x, target = _task(data, data.test[index], data.test_labels, index, generator)
        right += int((network.classify(x).argmax(1) == target).sum())
    return right / len(data.test)


def _batches(data: ImageData, size: int, generator: torch.Generator) -> Iterator[Batch]:
    while True:
        for index in torch.randperm(len(data.train), generator=generator).split(size):
            if len(index) == size:
                yield _task(data, data.train[index], data.train_labels, index, generator)


def _task(data: ImageData, images: Tensor, labels: Tensor | None, index: Tensor, generator: torch.Generator) -> Batch:
    x = data.pixels(images)
    if labels is not None:
        return x, labels[index]
    turns = torch.randint(4, (len(x),), generator=generator)
    # Turned, an oblong image would have another shape than the rest of its batch.
    height, width = x.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = x[..., top : top + side, left : left + side]
    turned = [torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(square, turns, strict=True)]
    return torch.stack(turned), turns
