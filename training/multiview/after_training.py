"""What comes after the last step: the couplings between views that translation needs, and the classifier."""

from itertools import combinations
from typing import cast

import torch
from torch import Tensor

from readers.subsets import complete
from readers.views_data import Batch, ViewsData
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.multiview.classifier import Classifier
from training.multiview.coupling import barycentric, couple
from training.multiview.translator import SoftmaxHead, Translator

BATCH = 1000


@torch.no_grad()
def finish(autoencoders: Autoencoders, data: ViewsData, *, paired: bool) -> None:
    """Find the coupling of each pair of views at anchors, and fit the head, in place.

    Args:
        autoencoders: The trained model; left in evaluation mode.
        data: Its data; only training rows are looked at.
        paired: Whether it is known which rows belong together: then, as far as two views know the same objects, the
            coupling is that, else the optimal Gromov-Wasserstein plan.
    """
    autoencoders.eval()
    anchors = choose_anchors(data.train, count_anchors(autoencoders))
    codes = {name: encode_rows(autoencoders[name], rows.x) for name, rows in anchors.items()}
    for a, b in combinations(autoencoders.names, 2):
        same = (anchors[a].objects[:, None] == anchors[b].objects).double()
        known = paired and min(same.sum(0).min(), same.sum(1).min()) > 0
        plan = same / same.sum() if known else couple(codes[a], codes[b])
        for source, target, coupling in ((a, b, plan), (b, a, plan.T)):
            translator = cast(Translator, autoencoders.translators[f"{source}:{target}"])
            translator.fit(
                codes[source].to(translator.anchors), barycentric(coupling, codes[target]).to(translator.images)
            )
    if autoencoders.head is not None and data.labels is not None:
        rows, objects = complete(data.train)
        labels = data.labels[objects]
        parts = [encode_rows(autoencoders[name], rows[name]) for name in autoencoders.names]
        known = labels >= 0
        classifier = Classifier(parts).fit(torch.cat(parts, 1)[known], labels[known])
        head = cast(SoftmaxHead, autoencoders.head)
        weight, bias = classifier.linear(len(autoencoders.classes))
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def count_anchors(autoencoders: Autoencoders) -> dict[str, int]:
    """Anchors of each view; none if it is the only one."""
    pairs = {key.partition(":")[0]: cast(Translator, net) for key, net in autoencoders.translators.items()}
    return {source: len(net.anchors) for source, net in pairs.items()}


def choose_anchors(part: Batch, counts: dict[str, int]) -> Batch:
    """So many rows of each view at random; of objects that several views know, the same ones first."""
    most = max((int(rows.objects.max()) for rows in part.values()), default=0) + 1
    rank = torch.randperm(most, generator=torch.Generator().manual_seed(0))
    return {view: part[view].take(rank[part[view].objects].argsort()[:count]) for view, count in counts.items()}


def encode_rows(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Codes without noise of raw rows of a view, on the CPU, shape (n, d)."""
    return autoencoder.encode_all(x.split(BATCH)).mean
