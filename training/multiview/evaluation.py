"""Scores of co-trained autoencoders: as features for a classifier, and as translators from view to view."""

import statistics
from itertools import combinations

import torch
from torch import Tensor

from readers.subsets import complete
from readers.views_data import Batch, ViewsData
from training.autoencoders import Autoencoders
from training.evaluation import reconstruction_error
from training.multiview.after_training import BATCH, choose_anchors, encode_rows
from training.multiview.classifier import Classifier, choose_labelled
from training.multiview.coupling import NEAREST, couple, nearest_classes, score_matching, share_nearer

BUDGETS = (1, 2, 5, 10, 20, 50)  # labels a class
DRAWS = 10  # of the labelled objects, per budget
COMPARED = 500  # test rows of each view, at most, that a coupling is solved for
NOISE = 1.0  # of a corrupted view, in standard deviations of its features

Scores = dict[str, float]


def evaluate_views(autoencoders: Autoencoders, data: ViewsData, *, seed: int = 0) -> Scores:
    """Scores on the test part; a score that cannot be had is left out.

    Args:
        autoencoders: The model, finished, in evaluation mode.
        data: Raw data; its training part gives the labels, and may be larger than what the model was trained on.
        seed: Of labelled objects, noise and starts.

    Returns:
        All shares are in [0, 1].
        reconstruction_VIEW: squared error of standardised features, mean over features; 1 is the mean's.
        accuracy, accuracy_K: of a softmax regression on concatenated codes, fitted to all labels, or to K a class, mean
        over ten draws. accuracy_validation: with all labels, on the validation part.
        accuracy_VIEW: with that view's codes alone, all labels.
        accuracy_corrupted_VIEW: all labels; in the test part the view has noise of one standard deviation added.
        accuracy_missing_VIEW, accuracy_translated_VIEW: in the test part its codes are the mean code, or come from
        the mean of what the other views' couplings carry over.
        matching_objects_A_B, matching_classes_A_B, matching_rank_A_B: see `Matching`, of test objects.
        translation_A_B: error as for reconstruction, of rows translated from A to B.
        translation_classes_A_B: share of translated rows that a classifier of real rows' codes puts into their class.
        translation_nearer_A_B: share of B's rows whose codes are nearer to a carried code than its true partner's, mean
        over objects (FOSCTTM, as single-cell biology has it); chance is 0.5.
        translation_neighbours_A_B: share of carried codes whose five nearest of B's training rows are mostly of their
        class.
    """
    scores = reconstruction_scores(autoencoders, data.test)
    coded = _Coded(autoencoders, data)
    if coded.paired and data.labels is not None:
        scores |= classification_scores(coded.train, coded.validation, coded.test, seed=seed)
        scores |= _robustness(autoencoders, coded, seed=seed)
    for a, b in combinations(autoencoders.names, 2):
        scores |= _between(autoencoders, data, a, b, seed=seed)
    return scores


def reconstruction_scores(autoencoders: Autoencoders, part: Batch) -> Scores:
    """`reconstruction_VIEW` of all views that have rows: mean over standardised features, so that 1 is the mean's."""
    return {
        f"reconstruction_{name}": reconstruction_error(autoencoders[name], x.split(BATCH)) / x[0].numel()
        for name, (x, _) in part.items() if len(x)
    }  # fmt: skip


def left_out(data: ViewsData) -> list[str]:
    """Why scores are not among those of `evaluate_views`: a line for each reason, which begins with their names.

    Args:
        data: As there.

    Returns:
        The lines; none if no score is left out.
    """
    reasons = [f"reconstruction_{name}: no test row" for name, rows in data.test.items() if not len(rows.x)]
    if data.labels is None or len(data.classes) < 2:
        named, given = (
            ("accuracy*", f"{data.classes[0]!r} alone") if data.classes else ("accuracy*, matching_classes*", "none")
        )
        reasons.append(
            f"{named}, translation_classes*, translation_neighbours*: expected labels of two classes or more, "
            f"got {given}"
        )
    else:
        reasons += _left_out_accuracies(data, data.labels)
    for a, b in combinations(data.test, 2):
        both = complete({name: data.test[name] for name in (a, b)})[1]
        objects = torch.cat([data.test[name].objects for name in (a, b)])
        if not len(both):
            reasons.append(
                f"matching_objects_{a}_{b}, matching_rank_{a}_{b}, translation_{a}_{b}, translation_{b}_{a}, "
                "translation_nearer*: "
                "no test object is in both views"
            )
        if data.labels is not None and len(data.classes) > 1 and (data.labels[objects] < 0).any():
            reasons.append(
                f"matching_classes_{a}_{b}, translation_classes_{a}_{b}, translation_classes_{b}_{a}, "
                "translation_neighbours*: "
                f"{int((data.labels[objects.unique()] < 0).sum())} of {len(objects.unique())} test objects lack a class"
            )
    return reasons


def _left_out_accuracies(data: ViewsData, labels: Tensor) -> list[str]:
    known = {part: labels[complete(getattr(data, part))[1]] for part in ("train", "validation", "test")}
    known = {part: own[own >= 0] for part, own in known.items()}
    if lacking := [part for part, own in known.items() if not len(own)]:
        return [f"accuracy*: no object with a class is in all views, in part {', '.join(lacking)}"]
    if len(known["train"].unique()) < 2:
        return ["accuracy*: training objects that are in all views have one class"]
    fewest = int(known["train"].bincount().min())
    names = ", ".join(f"accuracy_{budget}" for budget in BUDGETS if budget > fewest)
    return [f"{names}: a class has {fewest} labelled training objects"] if names else []


Part = tuple[list[Tensor], Tensor]  # codes of each view, shapes (n, d), and classes, shape (n,)


def classification_scores(train: Part, validation: Part, test: Part, *, seed: int) -> Scores:
    """Accuracies of softmax regressions on concatenated codes, whatever made the codes.

    Args:
        train: Codes and classes to fit to.
        validation: Codes and classes.
        test: Codes and classes.
        seed: Of the labelled objects.

    Returns:
        accuracy, accuracy_validation and accuracy_K, as `evaluate_views` says.
    """
    x, held, probe = (torch.cat(part[0], 1) for part in (train, validation, test))
    full = Classifier(train[0]).fit(x, train[1])
    scores = {"accuracy": full.accuracy(probe, test[1]), "accuracy_validation": full.accuracy(held, validation[1])}
    fewest = int(train[1].bincount().min())
    for budget in (budget for budget in BUDGETS if budget <= fewest):
        found = []
        for draw in range(DRAWS):
            chosen = choose_labelled(train[1], budget, seed=1000 * seed + draw)
            found.append(Classifier(train[0]).fit(x[chosen], train[1][chosen]).accuracy(probe, test[1]))
        scores[f"accuracy_{budget}"] = statistics.fmean(found)
    return scores


class _Coded:
    """Codes of the labelled objects that all views know, of each part."""

    def __init__(self, autoencoders: Autoencoders, data: ViewsData) -> None:
        self.rows: list[dict[str, Tensor]] = []
        parts: list[Part] = []
        for part in (data.train, data.validation, data.test):
            rows, objects = complete(part)
            labels = torch.full((len(objects),), -1) if data.labels is None else data.labels[objects]
            known = labels >= 0
            self.rows.append({name: x[known] for name, x in rows.items()})
            codes = (
                [encode_rows(autoencoders[name], rows[name][known]) for name in autoencoders.names]
                if known.any()
                else []
            )
            parts.append((codes, labels[known]))
        self.train, self.validation, self.test = parts
        self.paired = all(len(labels) for _, labels in parts) and len(self.train[1].unique()) > 1


def _robustness(autoencoders: Autoencoders, coded: _Coded, *, seed: int) -> Scores:
    """One view alone, and one view corrupted, missing, or translated from the others."""
    train, labels = coded.train
    codes, truth = coded.test
    full = Classifier(train).fit(torch.cat(train, 1), labels)
    generator = torch.Generator().manual_seed(seed)
    scores: Scores = {}
    for position, name in enumerate(autoencoders.names):
        alone = Classifier([train[position]]).fit(train[position], labels)
        scores[f"accuracy_{name}"] = alone.accuracy(codes[position], truth)
        if len(codes) < 2:
            continue
        view, x = autoencoders[name], coded.rows[2][name]
        spread = 1.0 if view.feature_std is None else view.feature_std.cpu()
        noisy = x + NOISE * spread * torch.randn(x.shape, generator=generator)
        others = [(other, codes[at]) for at, other in enumerate(autoencoders.names) if other != name]
        stand_ins = {
            "corrupted": encode_rows(autoencoders[name], noisy),
            "missing": train[position].mean(0).expand_as(codes[position]),
            "translated": torch.stack([_carry(autoencoders, other, name, z) for other, z in others]).mean(0),
        }
        for kind, stand_in in stand_ins.items():
            replaced = [stand_in if at == position else own for at, own in enumerate(codes)]
            scores[f"accuracy_{kind}_{name}"] = full.accuracy(torch.cat(replaced, 1), truth)
    return scores


def _between(autoencoders: Autoencoders, data: ViewsData, a: str, b: str, *, seed: int) -> Scores:
    """Matching of test codes, and translation of test rows, between two views."""
    part = choose_anchors(data.test, dict.fromkeys((a, b), COMPARED))
    codes = {name: encode_rows(autoencoders[name], rows.x) for name, rows in part.items()}
    objects = (part[a].objects, part[b].objects)
    known = data.labels is not None and all((data.labels[own] >= 0).all() for own in objects)
    classes = (data.labels[objects[0]], data.labels[objects[1]]) if known and data.labels is not None else None
    matching = score_matching(couple(codes[a], codes[b], seed=seed), codes[b], objects=objects, classes=classes)
    scores = {
        f"matching_objects_{a}_{b}": matching.objects,
        f"matching_classes_{a}_{b}": matching.classes,
        f"matching_rank_{a}_{b}": matching.rank,
    }
    rows, both = complete(part)
    for source, target in ((a, b), (b, a)):
        name = f"{source}_{target}"
        carried = _carry(autoencoders, source, target, codes[source])
        if len(both):
            scores[f"translation_{name}"] = _translation_error(autoencoders, rows, source, target)
            scores[f"translation_nearer_{name}"] = _nearer(autoencoders, rows, source, target)
        if classes is not None and data.labels is not None:
            scores[f"translation_classes_{name}"] = _translated_classes(
                autoencoders, data, data.labels, objects[source == b], target, carried
            )
            scores[f"translation_neighbours_{name}"] = _neighbours(
                autoencoders, data, data.labels, objects[source == b], target, carried
            )
    return {name: value for name, value in scores.items() if value == value}  # without NaN


@torch.inference_mode()
def _translation_error(autoencoders: Autoencoders, rows: dict[str, Tensor], source: str, target: str) -> float:
    view, device = autoencoders[target], autoencoders.device
    translated = autoencoders.translate(rows[source].to(device), source, target)
    return (view.standardise(translated) - view.standardise(rows[target].to(device))).square().mean().item()


def _nearer(autoencoders: Autoencoders, rows: dict[str, Tensor], source: str, target: str) -> float:
    codes = encode_rows(autoencoders[target], rows[target])
    carried = _carry(autoencoders, source, target, encode_rows(autoencoders[source], rows[source]))
    return share_nearer(carried, codes)


def _neighbours(
    autoencoders: Autoencoders, data: ViewsData, labels: Tensor, objects: Tensor, target: str, carried: Tensor
) -> float:
    """The classes of the nearest real rows against the true ones; NaN if a training row of the target has no class."""
    real = labels[data.train[target].objects]
    if len(real) < NEAREST or (real < 0).any():
        return float("nan")
    said = nearest_classes(carried, encode_rows(autoencoders[target], data.train[target].x), real)
    return (said == labels[objects]).double().mean().item()


@torch.inference_mode()
def _translated_classes(
    autoencoders: Autoencoders, data: ViewsData, all_labels: Tensor, objects: Tensor, target: str, carried: Tensor
) -> float:
    """Decode carried codes, encode what comes out, and ask a classifier of the target's real codes for the class.

    NaN if all of these are of one class.
    """
    labels = all_labels[data.train[target].objects]
    if len(labels[labels >= 0].unique()) < 2:
        return float("nan")
    real = encode_rows(autoencoders[target], data.train[target].x[labels >= 0])
    again = encode_rows(autoencoders[target], autoencoders[target].decode(carried.to(autoencoders.device)).cpu())
    judge = Classifier([real]).fit(real, labels[labels >= 0])
    return judge.accuracy(again, all_labels[objects])


@torch.inference_mode()
def _carry(autoencoders: Autoencoders, source: str, target: str, codes: Tensor) -> Tensor:
    """Codes of one view to codes of another, on the CPU, shape (n, e)."""
    return autoencoders.translators[f"{source}:{target}"](codes.to(autoencoders.device)).cpu()
