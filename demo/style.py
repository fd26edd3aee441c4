"""The page's theme: the visitor's own fonts, and contrast enough to read."""

from typing import Any

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")


def theme() -> Any:
    """The theme; it names no font that would have to be fetched."""
    base = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", font=FONT, font_mono=("ui-monospace", "monospace"), radius_size="md"
    )
    return base.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        color_accent="*primary_700",
        slider_color="*primary_700",
        slider_color_dark="*primary_400",
        checkbox_background_color_selected="*primary_700",
        button_secondary_text_color="*neutral_900",
        button_secondary_text_color_dark="*neutral_50",
    )
