"""What the page keeps at hand of a model, over a client that counts what it is asked."""

from demo.model_cache import ModelCache
from demo.replies import Codes, Component, Examples, Model, Rendered, View


class Counting:
    """Stands in for the service: says who asked what."""

    def __init__(self):
        self.asked = []

    def components(self, name):
        self.asked.append(name)
        return [Component(index=0, weight=1.0)]

    def examples(self, name):
        self.asked.append(name)
        return Examples(views={"a": Rendered(x=[[index] for index in range(150)])})

    def encode(self, name, items):
        self.asked.append(len(items.rows))
        rows = [[float(value)] for (value,) in items.x]
        return Codes(latents=rows, responsibilities=[[1.0]] * len(rows), components=[0] * len(rows))


def model(name="m", version="1", examples=150):
    return Model(
        name=name, version=version, kind="k", views={"a": View(kind="vector", shape=(1,))},
        latent_size=1, n_components=1, examples=examples,
    )  # fmt: skip


def test_a_version_is_asked_for_once():
    client = Counting()
    cache = ModelCache(client)
    assert cache.components(model()) is cache.components(model())
    cache.components(model(version="2"))
    assert client.asked == ["m", "m"]


def test_few_models_are_kept_at_hand():
    client = Counting()
    cache = ModelCache(client)
    for name in [*map(str, range(9)), "8", "0"]:
        cache.components(model(name))
    assert client.asked == [*map(str, range(9)), "0"]


def test_items_are_encoded_once_and_stay_in_order():
    client = Counting()
    placed = ModelCache(client).placed(model())
    assert client.asked == ["m", 150]
    assert placed.codes.latents == [[float(index)] for index in range(150)]
    assert placed.items.rows == [[index] for index in range(150)]
