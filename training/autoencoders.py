"""What a run trains, saves and exports: one autoencoder per view, and what joins several once they are trained."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from training.autoencoder import Autoencoder


class Autoencoders(nn.Module):
    """One autoencoder per view.

    Args:
        views: Autoencoder by view.
        translators: Map of codes, by source and target: `translators["a:b"]`; none for one view.
        head: Classifier of concatenated codes, in the views' order; None without classes.
        classes: Their names, in the order of the head's outputs.
    """

    views: nn.ModuleDict
    translators: nn.ModuleDict
    head: nn.Module | None
    classes: tuple[str, ...]

    def __init__(
        self,
        views: Mapping[str, Autoencoder],
        *,
        translators: Mapping[str, nn.Module] | None = None,
        head: nn.Module | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.views = nn.ModuleDict()
        self.views._modules.update(views)  # its own door refuses names that are methods of it: values, train
        self.translators = nn.ModuleDict(translators)
        self.head = head
        self.classes = tuple(classes)

    def __getitem__(self, name: str) -> Autoencoder:
        """The autoencoder of a view."""
        return cast(Autoencoder, self.views[name])

    @property
    def names(self) -> tuple[str, ...]:
        """The views, in order."""
        return tuple(self.views)

    @property
    def only(self) -> Autoencoder:
        """The autoencoder of a model of one view."""
        (name,) = self.names
        return self[name]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self[self.names[0]].device

    def features(self, x: Mapping[str, Tensor]) -> Tensor:
        """Codes without noise of all views side by side: raw rows (n, *shape) by view -> (n, sum of d)."""
        return torch.cat([self[name].encode(x[name]).mean for name in self.names], 1)

    def translate(self, x: Tensor, source: str, target: str) -> Tensor:
        """Raw rows of one view to raw rows of another: encode, carry over, decode."""
        return self[target].decode(self.translators[f"{source}:{target}"](self[source].encode(x).mean))
