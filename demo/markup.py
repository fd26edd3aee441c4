"""What the page shows, as HTML: pictures travel inside it, so nothing is stored and nothing else is fetched."""

from collections.abc import Iterable, Sequence
from html import escape

from demo.replies import Component, Model


def picture(png: str, alt: str) -> str:
    """Show one picture.

    Args:
        png: Base64 PNG.
        alt: What a screen reader says; empty where the surroundings say it already.

    Returns:
        An image element.
    """
    return f'<img src="data:image/png;base64,{escape(png)}" alt="{escape(alt)}">'


def figure(png: str, alt: str, caption: str) -> str:
    """A picture with a line of text below."""
    return f"<figure>{picture(png, alt)}<figcaption>{escape(caption)}</figcaption></figure>"


def gallery(images: Sequence[str], components: Sequence[int], *, captions: bool) -> str:
    """Show samples.

    Args:
        images: (n,) base64 PNG.
        components: (n,) where each came from, which its alternative text says.
        captions: Whether to write the component below each picture too.

    Returns:
        A grid.
    """
    items = []
    for position, (png, component) in enumerate(zip(images, components, strict=True), start=1):
        alt = f"Sample {position} from component {component}"
        items.append(figure(png, alt, f"component {component}") if captions else picture(png, alt))
    return f'<ul class="gallery">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def component_rows(components: Iterable[Component], samples: dict[int, list[str]]) -> str:
    """A row per component: the mean in a frame, then samples; a screen reader hears one sentence per row."""
    return f'<div class="components">{"".join(_row(entry, samples[entry.index]) for entry in components)}</div>'


def _row(component: Component, samples: Sequence[str]) -> str:
    name, weight = f"Component {component.index}", f"weight {percent(component.weight)}"
    told = f"{name}, {weight}: the picture of its mean, then {len(samples)} samples"
    pictures = picture(component.image, "") + "".join(picture(png, "") for png in samples)
    caption = f"<figcaption><strong>{name}</strong> <span>{weight}</span></figcaption>"
    return f'<figure>{caption}<div class="strip" role="img" aria-label="{escape(told)}">{pictures}</div></figure>'


def describe(model: Model) -> str:
    """What a model is, in one line."""
    shape = model.picture_shape
    parts = [
        f"{model.n_components} Gaussian components",
        f"{model.latent_size} latent dimensions",
        f"{model.kind} encoder",
    ]
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
