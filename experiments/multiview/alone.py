"""What a coupling is worth without autoencoders: rows follow it in the views' own features."""

import torch
from torch import Tensor

from experiments.multiview.cells import SPACES, Space
from experiments.multiview.solvers import Coupled
from readers.errors import DataError
from readers.views_data import ViewsData, known_to_all, positions
from relatent._alignment.graphs import in_metric
from training.multiview.coupling import barycentric, nearest_classes, share_nearer

FOLLOWED = 5  # training rows whose images a held-out row takes the mean of


def score_coupling(coupled: Coupled, data: ViewsData) -> dict[str, float]:
    """Scores of a coupling of the training rows, on the test rows and on the training rows themselves.

    The barycentric image of a training row is the mean of what it is coupled with. A test row, of which no coupling
    knows, takes the mean of the images of the five training rows nearest to it in the space the coupling was found in.

    Args:
        coupled: Of the first two views.
        data: The same data; all its rows have classes.

    Returns:
        In [0, 1], for either direction A_B and both spaces S that images are taken and distances measured in, profiles
        (rows about their mean, of length 1) and standardised features:
        nearer_S_A_B, kept_S_A_B: as `evaluate_views` has translation_nearer and translation_neighbours of codes.
        training_nearer_S_A_B, training_kept_S_A_B: the same of the training rows.
        classes: Mass of the coupling on pairs of one class. trust: if the coupling has one.

    Raises:
        DataError: If a row has no class.
    """
    labels = data.labels
    if labels is None or (labels < 0).any():
        raise DataError(f"{data.name}: expected a class of every object, got none of some; leave those out")
    a, b = list(data.train)[:2]
    kinds = {view: labels[data.train[view].objects] for view in (a, b)}
    same = kinds[a][:, None] == kinds[b]
    scores = {"classes": float(coupled.plan[same].sum() / coupled.plan.sum())}
    if coupled.trust is not None:
        scores["trust"] = coupled.trust
    for source, target, plan in ((a, b, coupled.plan), (b, a, coupled.plan.mT)):
        known, new = _rows(data, source, coupled.space)
        nearest = torch.cdist(new, known).topk(min(FOLLOWED, len(known)), largest=False).indices
        for space in SPACES:
            real, held = _rows(data, target, space)
            images = barycentric(plan, real)
            name = f"{space}_{source}_{target}"
            for part, kind, carried, theirs in (
                (data.train, "training_", images, real),
                (data.test, "", images[nearest].mean(1), held),
            ):
                both = known_to_all({view: part[view] for view in (source, target)})
                own, others = (positions(part[view].objects, both) for view in (source, target))
                scores[f"{kind}nearer_{name}"] = share_nearer(carried[own], theirs[others])
                said = nearest_classes(carried, real, kinds[target])
                scores[f"{kind}kept_{name}"] = float((said == labels[part[source].objects]).double().mean())
    return scores


def _rows(data: ViewsData, view: str, space: Space) -> tuple[Tensor, Tensor]:
    """Training and test rows of a view in a space."""
    parts = data.train[view].x, data.test[view].x
    known, new = (
        in_metric(x.flatten(1), "correlation") if space == "profiles" else data.standardise(view, x) for x in parts
    )
    return known, new
