"""The page's HTML, read back by a parser."""

from html.parser import HTMLParser

import pytest

from demo.html import bars, component_rows, describe, gallery, problem
from demo.picker import thumbnails
from demo.replies import Component, Model, View
from demo.snippets import snippets


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_sample_has_a_name():
    page = Reader(gallery(["data:image/png;base64,AA==", "data:image/png;base64,BB=="], [3, 7], captions=True))
    assert page.all("img") == [
        {"src": "data:image/png;base64,AA==", "alt": "Sample 1 from component 3"},
        {"src": "data:image/png;base64,BB==", "alt": "Sample 2 from component 7"},
    ]
    assert page.text == "component 3component 7"


def test_a_row_is_one_picture_to_a_screen_reader():
    rows = [Component(index=0, weight=0.25, image="AA=="), Component(index=1, weight=0.75, image="BB==")]
    page = Reader(component_rows(rows, ["AA==", "BB=="], {0: ["CC=="], 1: ["DD==", "EE=="]}))
    labels = [attributes["aria-label"] for attributes in page.all("div") if attributes.get("role") == "img"]
    assert labels == [
        "Component 0, weight 25.0 %: the picture of its mean, then 1 samples",
        "Component 1, weight 75.0 %: the picture of its mean, then 2 samples",
    ]
    assert [image["alt"] for image in page.all("img")] == [""] * 5


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_nothing_from_outside_becomes_markup(evil):
    model = Model(
        name="m", kind=evil, views={"x": View(kind="image", shape=(1, 2, 2))}, latent_size=1, n_components=1,
        dataset=evil,
    )  # fmt: skip
    shown = [
        problem(evil, returns=True), describe(model), gallery([evil], [0], captions=False), bars([(evil, 0.5)], evil),
        thumbnails(evil, evil, [evil], [evil], chosen=0), snippets("http://h", {"model": evil}),
    ]  # fmt: skip
    for text in shown:
        page = Reader(text)
        assert not page.all("script")
        assert all("onerror" not in attributes for _, attributes in page.tags)
