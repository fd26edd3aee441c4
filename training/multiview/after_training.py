"""What comes after the last step: the couplings between views that translation needs, and the classifier."""

from itertools import combinations
from typing import cast

import torch
from torch import Tensor

from readers.subsets import complete
from readers.views_data import Batch, ViewsData, known_to_all
from training.autoencoder import Autoencoder
from training.autoencoders import Autoencoders
from training.multiview.classifier import Classifier
from training.multiview.coupling import barycentric, couple
from training.multiview.found_pairs import FoundPairs
from training.multiview.translator import NOT_FOUND, SoftmaxHead, Translator

BATCH = 1000


@torch.no_grad()
def finish(autoencoders: Autoencoders, data: ViewsData, *, paired: bool, found: FoundPairs | None = None) -> None:
    """Find the coupling of each pair of views at anchors, and fit the head, in place.

    Args:
        autoencoders: The trained model; left in evaluation mode.
        data: Its data; only training rows are looked at.
        paired: Whether it is known which rows belong together: then, as far as two views know the same objects, the
            coupling is that, else the optimal Gromov-Wasserstein plan.
        found: Pairs that were found, which are taken for known ones if they can be trusted.
    """
    autoencoders.eval()
    trusted = found.rows if found is not None and found.trustworthy else None
    finding = trusted is not None
    anchors = choose_anchors(trusted or data.train, count_anchors(autoencoders), shared_first=finding)
    codes = {name: encode_rows(autoencoders[name], rows.x) for name, rows in anchors.items()}
    for a, b in combinations(autoencoders.names, 2):
        same = (anchors[a].objects[:, None] == anchors[b].objects).double()
        known = finding or (paired and min(same.sum(0).min(), same.sum(1).min()) > 0)
        plan = same / same.sum() if known else couple(codes[a], codes[b])
        trust = NOT_FOUND if found is None else min(found.trust.get(view, 1.0) for view in (a, b))
        for source, target, coupling in ((a, b, plan), (b, a, plan.T)):
            translator = cast(Translator, autoencoders.translators[f"{source}:{target}"])
            translator.trust.fill_(trust)
            translator.fit(
                codes[source].to(translator.anchors),
                barycentric(_followed(coupling, codes[source]), codes[target]).to(translator.images),
            )
    if autoencoders.head is not None and data.labels is not None:
        complete_rows, objects = complete(data.train)
        labels = data.labels[objects]
        parts = [encode_rows(autoencoders[name], complete_rows[name]) for name in autoencoders.names]
        known = labels >= 0
        classifier = Classifier(parts).fit(torch.cat(parts, 1)[known], labels[known])
        head = cast(SoftmaxHead, autoencoders.head)
        weight, bias = classifier.linear(len(autoencoders.classes))
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def _followed(coupling: Tensor, codes: Tensor) -> Tensor:
    """The coupling (n, m), in which a row that has no partner follows the nearest one that has; codes (n, d)."""
    coupled = coupling.sum(1) > 0
    if coupled.all() or not coupled.any():
        return coupling
    nearest = torch.cdist(codes, codes[coupled]).argmin(1)
    return torch.where(coupled[:, None], coupling, coupling[coupled][nearest])


def count_anchors(autoencoders: Autoencoders) -> dict[str, int]:
    """Anchors of each view; none if it is the only one."""
    pairs = {key.partition(":")[0]: cast(Translator, net) for key, net in autoencoders.translators.items()}
    return {source: len(net.anchors) for source, net in pairs.items()}


def choose_anchors(part: Batch, counts: dict[str, int], *, shared_first: bool = False) -> Batch:
    """So many rows of each view at random; of objects that several views know, the same ones first.

    If `shared_first`, objects that some view lacks come last.
    """
    most = max((int(rows.objects.max()) for rows in part.values()), default=0) + 1
    rank = torch.randperm(most, generator=torch.Generator().manual_seed(0))
    if shared_first:
        rank += most
        rank[known_to_all(part)] -= most
    return {view: part[view].take(rank[part[view].objects].argsort()[:count]) for view, count in counts.items()}


def encode_rows(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Codes without noise of raw rows of a view, on the CPU, shape (n, d)."""
    return autoencoder.encode_all(x.split(BATCH)).mean
