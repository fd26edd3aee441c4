"""Handlers of the endpoints: a library and a request in, a reply out. Every number comes from the engine.

One that computes with rows is a generator: it yields `Call`s, which run together with those of other requests.
"""

from typing import cast

import numpy as np
from starlette.responses import Response

from serving import inputs
from serving import request_models as requests
from serving import response_models as replies
from serving.engine import Codes, Engine, Floats, Posterior, Reconstruction, Sample, Translation, check_deadline
from serving.errors import ApiError, invalid
from serving.images import Pixels, encode_image, encode_png, tile, to_pixels
from serving.manifest import View
from serving.randomness import new_seed
from serving.repository import Library
from serving.response_models import numbers
from serving.scheduler import Call, Steps


def sample(library: Library, request: requests.Sample) -> Steps[replies.SampleReply]:
    """Generate items from the prior."""
    engine, view = inputs.find(library, request)
    seed, call = _draw(library, engine, request)
    drawn: Sample = yield call
    return {
        "model": engine.name,
        "seed": seed,
        "components": drawn.component.tolist(),
        "latents": numbers(drawn.latent),
        **_render(view, drawn.x),
    }


def sample_png(library: Library, request: requests.Sample) -> Steps[Response]:
    """The pictures of /sample as one tiled PNG; X-Seed holds the seed."""
    engine, view = inputs.find(library, request)
    if view.kind == "vector":
        raise invalid("view", "expected an image view, got a vector view; use /sample")
    seed, call = _draw(library, engine, request)
    drawn: Sample = yield call
    return Response(encode_png(tile(_pixels(view, drawn.x))), media_type="image/png", headers={"X-Seed": str(seed)})


def encode(library: Library, request: requests.Encode) -> Steps[replies.EncodeReply | replies.FeaturesReply]:
    """Latent codes of items, and their components; of all views at once, also side by side as features."""
    if request.views is not None:
        engine, codes = inputs.find_engine(library, request), {}
        items = inputs.read_views(library, engine, request.views)
        for name, x in items.items():
            codes[name] = yield Call(engine, "codes", (x,), {"view": name}, blame="views")
        features = np.concatenate([found.mean for found in codes.values()], axis=1)
        views = {name: _codes(found) for name, found in codes.items()}
        return {"model": engine.name, "features": numbers(features), "views": views}
    engine, view = inputs.find(library, request)
    x = inputs.read_items(library, view, request)
    found: Codes = yield Call(engine, "codes", (x,), {"view": request.view}, _blame(request))
    return {"model": engine.name, **_codes(found)}


def classify(library: Library, request: requests.Classify) -> Steps[replies.ClassifyReply]:
    """The class of items by all views."""
    engine = inputs.find_engine(library, request)
    classes = engine.manifest.classes
    if not classes:
        message = f"model {engine.name} has no classifier; GET /models tells which has classes"
        raise ApiError(404, "no_classifier", message, field="model")
    items, means = inputs.read_views(library, engine, request.views), []
    for name, x in items.items():
        posterior: Posterior = yield Call(engine, "encode", (x,), {"view": name}, blame="views")
        means.append(posterior.mean)
    log_probabilities: Floats = yield Call(engine, "classify", tuple(means), blame="views")
    return {
        "model": engine.name,
        "classes": [classes[index] for index in log_probabilities.argmax(axis=1)],
        "probabilities": numbers(np.exp(log_probabilities)),
    }


def translate(library: Library, request: requests.Translate) -> Steps[replies.TranslateReply]:
    """Items of one view as another would show them."""
    engine = inputs.find_engine(library, request)
    source, target = inputs.find_view(engine, "from", request.source), inputs.find_view(engine, "to", request.target)
    if request.target not in source.targets:
        known = f"one of {', '.join(source.targets)}" if source.targets else "a model with views that can be translated"
        raise invalid("to", f"expected {known}, got '{request.target}'")
    x = inputs.read_items(library, source, request)
    inputs.limit(library, target.shape, "x" if request.x is not None else "images", len(x))
    options = {"source": request.source, "target": request.target}
    found: Translation = yield Call(engine, "translate", (x,), options, _blame(request))
    return {"model": engine.name, "latents": numbers(found.carried), **_render(target, found.x)}


def decode(library: Library, request: requests.Decode) -> Steps[replies.DecodeReply]:
    """Items that latent codes stand for."""
    engine, view = inputs.find(library, request)
    inputs.admit(library, view, "latents", len(request.latents))
    codes = [inputs.read_code(engine, request.view, f"latents.{i}", code) for i, code in enumerate(request.latents)]
    x: Floats = yield Call(engine, "decode", (np.stack(codes),), {"view": request.view}, blame="latents")
    return {"model": engine.name, **_render(view, x)}


def reconstruct(library: Library, request: requests.Reconstruct) -> Steps[replies.ReconstructReply]:
    """Items encoded and decoded again; x is answered with x, images with images."""
    engine, view = inputs.find(library, request)
    x = inputs.read_items(library, view, request)
    again: Reconstruction = yield Call(engine, "reconstruct", (x,), {"view": request.view}, _blame(request))
    items: replies.Rendered = _render(view, again.x) if request.x is None else {"x": numbers(again.x)}
    return {"model": engine.name, "errors": numbers(again.error), **items}


def interpolate(library: Library, request: requests.Interpolate) -> Steps[replies.InterpolateReply]:
    """Items between two latent codes."""
    engine, view = inputs.find(library, request)
    inputs.admit(library, view, "steps", request.steps)
    ends: list[Floats] = []
    for field, value in (("from", request.start), ("to", request.end)):
        code = inputs.read_end(engine, request.view, field, value)
        if isinstance(value, str):
            posterior: Posterior = yield Call(engine, "encode", (code,), {"view": request.view})
            code = posterior.mean[0]
        ends.append(code)
    latents = engine.interpolate(ends[0], ends[1], request.steps, view=request.view)
    blame = "from" if isinstance(request.start, list) or isinstance(request.end, list) else None
    x: Floats = yield Call(engine, "decode", (latents,), {"view": request.view}, blame)
    return {"model": engine.name, "latents": numbers(latents), **_render(view, x)}


def models(library: Library, _: requests.Nothing) -> replies.ModelsReply:
    """What is loaded, and how much of it one request may ask for."""
    described = [_describe(engine, engine.name == library.default) for engine in library.engines.values()]
    chosen = library.settings
    limits: replies.LimitsReply = {
        "max_items": chosen.max_items,
        "max_values": chosen.max_values,
        "max_body_bytes": chosen.max_body_bytes,
    }
    return {"models": described, "limits": limits}


def components(library: Library, request: requests.Request) -> replies.ComponentsReply:
    """The Gaussians of a model's prior and what their means decode to."""
    engine, view = inputs.find(library, request)
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
    engine = inputs.find_engine(library, request)
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
            "found": dict(view.found),
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


def _codes(found: Codes) -> replies.Codes:
    codes: replies.Codes = {
        "latents": numbers(found.mean),
        "responsibilities": numbers(np.exp(found.log_responsibilities)),
        "components": found.log_responsibilities.argmax(axis=1).tolist(),
    }
    if found.std is not None:
        codes["stds"] = numbers(found.std)
    return codes


def _draw(library: Library, engine: Engine, request: requests.Sample) -> tuple[int, Call]:
    """The seed, and what is to be computed of what it draws."""
    inputs.admit(library, engine.view(request.view), "n", request.n)
    if request.component is not None:
        listed = request.component if isinstance(request.component, list) else [request.component]
        for component in listed:
            inputs.check_component(engine, request.view, "component", component)
    seed = new_seed() if request.seed is None else request.seed
    components, noise = engine.draw(request.n, seed=seed, component=request.component, view=request.view)
    temperature = np.full(request.n, request.temperature, dtype=np.float32)
    return seed, Call(engine, "generate", (components, noise, temperature), {"view": request.view})


def _blame(request: requests.Items) -> str | None:
    """What a non-finite answer is blamed on: raw values, which may be any; pictures must have an answer."""
    return "x" if request.x is not None else None


def _render(view: View, x: Floats) -> replies.Rendered:
    if view.kind == "vector":
        return {"x": numbers(x)}
    return {"images": list(map(_picture, _pixels(view, x)))}


def _picture(pixels: Pixels) -> str:
    check_deadline()
    return encode_image(pixels)


def _pixels(view: View, x: Floats) -> Pixels:
    return to_pixels(x, cast(tuple[float, float], view.value_range))  # an image view has one, says its validator
