"""Handlers of the verbs: a library and a request in, a reply out. Every number comes from the engine."""

from typing import cast

import numpy as np

from serving import replies, requests
from serving.deadline import check
from serving.encoding import numbers
from serving.engine import Engine, Floats, Posterior
from serving.engine import Sample as Drawn
from serving.errors import ApiError, invalid
from serving.images import Pixels, encode_image, encode_png, tile, to_pixels
from serving.inputs import (
    admit,
    answerable,
    check_component,
    find,
    find_engine,
    find_view,
    limit,
    read_code,
    read_end,
    read_items,
    read_views,
)
from serving.library import Library
from serving.manifest import View
from serving.randomness import new_seed
from serving.settings import settings


def sample(library: Library, request: requests.Sample) -> replies.SampleReply:
    """Generate items from a model's prior."""
    engine, view = find(library, request)
    seed, drawn = _draw(engine, request)
    return {
        "model": engine.name,
        "seed": seed,
        "components": drawn.component.tolist(),
        "latents": numbers(drawn.latent),
        **_render(view, drawn.x),
    }


def sample_png(library: Library, request: requests.Sample) -> tuple[bytes, int]:
    """The pictures of `sample` as one tiled PNG, and the seed."""
    engine, view = find(library, request)
    if view.kind == "vector":
        raise invalid("view", "expected an image view, got a vector view; use /sample")
    seed, drawn = _draw(engine, request)
    return encode_png(tile(_pixels(view, drawn.x))), seed


def encode(library: Library, request: requests.Encode) -> replies.EncodeReply | replies.FeaturesReply:
    """Latent codes of items, and which components they belong to; of one view, or of all and side by side."""
    if request.views is not None:
        engine = find_engine(library, request)
        posteriors = _encode_views(engine, request.views)
        with answerable(True, "views"):
            codes = {name: _codes(engine, name, posterior) for name, posterior in posteriors.items()}
        features = np.concatenate([posterior.mean for posterior in posteriors.values()], axis=1)
        return {"model": engine.name, "features": numbers(features), "views": codes}
    engine, view = find(library, request)
    with answerable(request.x is not None, "x"):
        posterior = engine.encode(read_items(view, request), view=request.view)
        return {"model": engine.name, **_codes(engine, request.view, posterior)}


def classify(library: Library, request: requests.Classify) -> replies.ClassifyReply:
    """The class of items that every view shows."""
    engine = find_engine(library, request)
    classes = engine.manifest.classes
    if not classes:
        message = f"model {engine.name} has no classifier; GET /models tells which has classes"
        raise ApiError(404, "no_classifier", message, field="model")
    means = {name: posterior.mean for name, posterior in _encode_views(engine, request.views).items()}
    with answerable(True, "views"):
        log_probabilities = engine.classify(means)
    return {
        "model": engine.name,
        "classes": [classes[index] for index in log_probabilities.argmax(axis=1)],
        "probabilities": numbers(np.exp(log_probabilities)),
    }


def translate(library: Library, request: requests.Translate) -> replies.TranslateReply:
    """Items of one view as another would show them."""
    engine = find_engine(library, request)
    source, target = find_view(engine, "from", request.source), find_view(engine, "to", request.target)
    if request.target not in source.targets:
        known = f"one of {', '.join(source.targets)}" if source.targets else "a model with views that can be translated"
        raise invalid("to", f"expected {known}, got '{request.target}'")
    x = read_items(source, request)
    limit(target.shape, "x" if request.x is not None else "images", len(x))
    with answerable(request.x is not None, "x"):
        translation = engine.translate(x, request.source, request.target)
    return {"model": engine.name, "latents": numbers(translation.carried), **_render(target, translation.x)}


def decode(library: Library, request: requests.Decode) -> replies.DecodeReply:
    """Items that latent codes stand for."""
    engine, view = find(library, request)
    admit(view, "latents", len(request.latents))
    latents = np.stack(
        [read_code(engine, request.view, f"latents.{i}", code) for i, code in enumerate(request.latents)]
    )
    with answerable(True, "latents"):
        return {"model": engine.name, **_render(view, engine.decode(latents, view=request.view))}


def reconstruct(library: Library, request: requests.Reconstruct) -> replies.ReconstructReply:
    """Items there and back; x is answered with x, images with images."""
    engine, view = find(library, request)
    with answerable(request.x is not None, "x"):
        again = engine.reconstruct(read_items(view, request), view=request.view)
    items: replies.Rendered = _render(view, again.x) if request.x is None else {"x": numbers(again.x)}
    return {"model": engine.name, "errors": numbers(again.error), **items}


def interpolate(library: Library, request: requests.Interpolate) -> replies.InterpolateReply:
    """Items on the straight line between two latent codes."""
    engine, view = find(library, request)
    admit(view, "steps", request.steps)
    start, end = (
        read_end(engine, request.view, field, value) for field, value in (("from", request.start), ("to", request.end))
    )
    latents = engine.interpolate(start, end, request.steps, view=request.view)
    with answerable(isinstance(request.start, list) or isinstance(request.end, list), "from"):
        x = engine.decode(latents, view=request.view)
    return {"model": engine.name, "latents": numbers(latents), **_render(view, x)}


def models(library: Library, _: requests.Nothing) -> replies.ModelsReply:
    """What is loaded, and how much of it one request may ask for."""
    chosen = settings()
    return {
        "models": [_describe(engine, engine.name == library.default) for engine in library.engines.values()],
        "limits": {
            "max_items": chosen.max_items,
            "max_values": chosen.max_values,
            "max_body_bytes": chosen.max_body_bytes,
        },
    }


def components(library: Library, request: requests.Request) -> replies.ComponentsReply:
    """The Gaussians of a model's prior and what their means decode to."""
    engine, view = find(library, request)
    prior = engine.space(request.view).prior
    x = engine.decode(np.array(prior.means), view=request.view)
    pictures = list(map(encode_image, _pixels(view, x))) if view.kind == "image" else None
    covariances = engine.covariances(view=request.view)
    rows: list[replies.ComponentReply] = []
    for index, (weight, mean, std) in enumerate(zip(prior.weights, prior.means, prior.stds, strict=True)):
        row: replies.ComponentReply = {
            "index": index,
            "weight": weight,
            "mean": mean,
            "std": std,
            "covariance": numbers(covariances[index]),
            "image": pictures[index] if pictures else None,
        }
        if view.kind == "vector":
            row["x"] = numbers(x[index])
        rows.append(row)
    return {"model": engine.name, "components": rows}


def examples(library: Library, request: requests.Query) -> replies.ExamplesReply:
    """Real items that a model's bundle brings along."""
    engine = find_engine(library, request)
    if engine.examples is None:
        message = f"model {engine.name} brings no examples along; GET /models tells which does"
        raise ApiError(404, "no_examples", message, field="model")
    views: dict[str, replies.Rendered] = {
        name: {"images": list(map(_picture, values))} if values.dtype == np.uint8 else {"x": numbers(values)}
        for name, values in engine.examples.views.items()
    }
    return {"model": engine.name, "labels": list(engine.examples.labels) or None, "views": views}


def _describe(engine: Engine, default: bool) -> replies.ModelReply:
    manifest = engine.manifest
    views: dict[str, replies.ViewReply] = {
        name: {
            "kind": view.kind,
            "shape": list(view.shape),
            "value_range": None if view.value_range is None else list(view.value_range),
            "latent_size": engine.space(name).latent_size,
            "n_components": engine.space(name).n_components,
            "targets": list(view.targets),
            "layout": None if view.layout is None else list(view.layout),
        }
        for name, view in manifest.views.items()
    }
    return {
        "name": engine.name,
        "default": default,
        "kind": manifest.kind,
        "views": views,
        "latent_size": engine.space().latent_size,
        "n_components": engine.space().n_components,
        "classes": list(manifest.classes),
        "examples": 0 if engine.examples is None else len(engine.examples),
        "provider": engine.provider,
        "version": engine.version,
        "dataset": manifest.training.dataset,
        "credit": manifest.credit,
        "scores": manifest.scores,
    }


def _encode_views(engine: Engine, views: dict[str, list]) -> dict[str, Posterior]:
    items = read_views(engine, views)
    with answerable(True, "views"):
        return {name: engine.encode(x, view=name) for name, x in items.items()}


def _codes(engine: Engine, view: str | None, posterior: Posterior) -> replies.Codes:
    log_responsibilities = engine.log_responsibilities(posterior.mean, view=view)
    codes: replies.Codes = {
        "latents": numbers(posterior.mean),
        "responsibilities": numbers(np.exp(log_responsibilities)),
        "components": log_responsibilities.argmax(axis=1).tolist(),
    }
    if posterior.std is not None:
        codes["stds"] = numbers(posterior.std)
    return codes


def _draw(engine: Engine, request: requests.Sample) -> tuple[int, Drawn]:
    admit(engine.view(request.view), "n", request.n)
    if request.component is not None:
        listed = request.component if isinstance(request.component, list) else [request.component]
        for component in listed:
            check_component(engine, request.view, "component", component)
    seed = new_seed() if request.seed is None else request.seed
    drawn = engine.sample(
        request.n, seed=seed, component=request.component, temperature=request.temperature, view=request.view
    )
    return seed, drawn


def _render(view: View, x: Floats) -> replies.Rendered:
    if view.kind == "vector":
        return {"x": numbers(x)}
    return {"images": list(map(_picture, _pixels(view, x)))}


def _picture(pixels: Pixels) -> str:
    check()
    return encode_image(pixels)


def _pixels(view: View, x: Floats) -> Pixels:
    return to_pixels(x, cast(tuple[float, float], view.value_range))  # an image view has one, says its validator
