"""What a call asks of an accelerator, counted on any machine: tensors of device "cuda" under FakeTensorMode."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TRIPS = {"relatent::cloud_fgw_at_host": 2}  # transfers in one operation, which waits once
_ALLOCATIONS = ("aten::empty", "aten::new_empty", "aten::empty_like", "aten::detach", "aten::_unsafe_view")


class Counted(TorchDispatchMode):
    """Operations on the device, by name, without views and allocations; and looks, at which the host waits.

    Attributes:
        operations: How often each was dispatched.
        looks: Transfers from the device to the host. A look at a value (`.item()`, `if tensor:`, `nonzero`) has no
            answer for fake tensors and raises.
        values_read: Looks at a single value that had an answer, of tensors on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.looks = self.values_read = 0

    @property
    def total(self) -> int:
        """All operations."""
        return sum(self.operations.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and go on."""
        out = func(*args, **(kwargs or {}))
        name = func.name().partition(".")[0]
        ins, outs = (_on_device(tree_leaves(tree)) for tree in ((args, kwargs), out))
        self.values_read += name == "aten::_local_scalar_dense"
        if name in TRIPS:
            self.looks += 1
        elif True in ins and outs and True not in outs and name != "prim::device":
            self.looks += 1  # what comes out lies on the host
        if True in ins + outs and not func.is_view and name not in _ALLOCATIONS and not name.startswith("prim::"):
            self.operations[name] += TRIPS.get(name, 1)
        return out


def _on_device(leaves: list[Any]) -> list[bool]:
    return [leaf.device.type == "cuda" for leaf in leaves if isinstance(leaf, torch.Tensor)]


@contextmanager
def counted() -> Iterator[Counted]:
    """Count what is done inside, with tensors that hold no values; make them with device="cuda"."""
    with FakeTensorMode(), Counted() as count:
        yield count
