"""The HTML of what the page shows; pictures travel inside it, so nothing is stored and nothing else is fetched."""

from collections.abc import Iterable, Sequence
from html import escape

from demo.replies import Component, Model


def picture(source: str, alt: str) -> str:
    """Show one picture.

    Args:
        source: Its `data:` URL.
        alt: What a screen reader says; empty where the surroundings say it already.

    Returns:
        An image element.
    """
    return f'<img src="{escape(source)}" alt="{escape(alt)}">'


def figure(source: str, alt: str, caption: str) -> str:
    """A picture with a line of text below."""
    return f"<figure>{picture(source, alt)}<figcaption>{escape(caption)}</figcaption></figure>"


def gallery(images: Sequence[str], components: Sequence[int], *, captions: bool) -> str:
    """Show samples.

    Args:
        images: (n,) `data:` URLs.
        components: (n,) where each came from, which its alternative text says.
        captions: Whether to write the component below each picture too.

    Returns:
        A grid.
    """
    items = []
    for position, (source, component) in enumerate(zip(images, components, strict=True), start=1):
        alt = f"Sample {position} from component {component}"
        items.append(figure(source, alt, f"component {component}") if captions else picture(source, alt))
    return f'<ul class="gallery">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def component_rows(components: Sequence[Component], means: Sequence[str], samples: dict[int, list[str]]) -> str:
    """A row per component: the mean in a frame, then samples; a screen reader hears one sentence per row.

    Args:
        components: K of them.
        means: (K,) the `data:` URLs of their means' pictures.
        samples: By component, `data:` URLs.

    Returns:
        The rows.
    """
    rows = (_row(entry, mean, samples[entry.index]) for entry, mean in zip(components, means, strict=True))
    return f'<div class="components">{"".join(rows)}</div>'


def bars(rows: Iterable[tuple[str, float]], told: str) -> str:
    """Probabilities as bars, each with its number.

    Args:
        rows: A name and a probability each.
        told: What they are, for a screen reader.

    Returns:
        A list.
    """
    items = "".join(
        f'<li><span class="bar-name">{escape(name)}</span><span class="bar" aria-hidden="true">'
        f'<span style="width:{100 * share:.1f}%"></span></span><span class="bar-share">{percent(share)}</span></li>'
        for name, share in rows
    )
    return f'<ul class="bars" aria-label="{escape(told)}">{items}</ul>'


def comparison(figures: Iterable[str]) -> str:
    """Figures side by side."""
    return f'<div class="comparison">{"".join(figures)}</div>'


def _row(component: Component, mean: str, samples: Sequence[str]) -> str:
    name, weight = f"Component {component.index}", f"weight {percent(component.weight)}"
    told = f"{name}, {weight}: the picture of its mean, then {len(samples)} samples"
    pictures = picture(mean, "") + "".join(picture(source, "") for source in samples)
    caption = f"<figcaption><strong>{name}</strong> <span>{weight}</span></figcaption>"
    return f'<figure>{caption}<div class="strip" role="img" aria-label="{escape(told)}">{pictures}</div></figure>'


def describe(model: Model) -> str:
    """What a model is, in one line."""
    shape = model.picture_shape
    parts = [
        f"{model.n_components} Gaussian component{'s' if model.n_components > 1 else ''}",
        f"{model.latent_size} latent dimensions",
        f"{model.kind} encoder",
    ]
    if len(model.views) > 1:
        parts.insert(0, f"{len(model.views)} views: {', '.join(model.views)}")
    if shape:
        parts.append(f"pictures of {shape[2]} by {shape[1]} pixels, {'grey' if shape[0] == 1 else 'colour'}")
    if model.dataset:
        parts.append(f"trained on {model.dataset}")
    return escape(" · ".join(parts))


def note(text: str) -> str:
    """A line that says what is shown."""
    return f"<p>{escape(text)}</p>"


def problem(text: str, *, returns: bool) -> str:
    """Tell a visitor of a failure.

    Args:
        text: A sentence.
        returns: Whether the page tries again by itself.

    Returns:
        A paragraph.
    """
    hope = " This page tries again by itself every few seconds." if returns else ""
    return f'<p class="problem">{escape(text + hope)}</p>'


def percent(probability: float) -> str:
    """A probability as a visitor reads it."""
    return f"{100 * probability:.1f} %"
