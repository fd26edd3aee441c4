"""One step of training: loss, gradient, watch, optimizer; on one GPU recorded once as a CUDA graph and replayed.

A replayed step is launched as one piece: the host no longer calls its hundreds of operations one by one, which takes
longer than a small network's arithmetic. All that changes from step to step goes through memory that the graph knows:
the batch, the step sizes, and the seed and offset of the generator. It computes what the eager step does but for the
order of some sums.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.objectives import Objective, Terms
from training.watch import watch_of

WARM_UP = 3  # steps taken eagerly before one is recorded: libraries choose their ways, and keep what they allocate


class Adam(torch.optim.Adam):
    """Adam with its step sizes and counts where the weights are.

    On CUDA it is fused: one operation for all parameters, which looks on the device whether to be skipped, and step
    sizes lie there, so that a CUDA graph finds them. Elsewhere it is PyTorch's. What `state_dict` gives fits both.

    Args:
        groups: As for PyTorch's, "lr" a number.
        betas: Decay rates.
        device: Where the weights will be.
    """

    def __init__(self, groups: list[dict[str, Any]], *, betas: tuple[float, float], device: torch.device) -> None:
        super().__init__(groups, betas=betas, fused=True if device.type == "cuda" else None)
        self._device = device
        for group in self.param_groups:
            self.set_rate(group, group["lr"])

    def set_rate(self, group: dict[str, Any], rate: float) -> None:
        """Set the step size of one of `param_groups`."""
        if self._device.type != "cuda":
            group["lr"] = rate
        elif isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = torch.tensor(rate, device=self._device)

    def state_dict(self) -> dict[str, Any]:
        """The state as an Adam on the CPU would give it, step sizes as numbers."""
        state = super().state_dict()
        groups = [group | {"lr": float(group["lr"]), **_ON_CPU} for group in state["param_groups"]]
        return {"state": state["state"], "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave, here or on another kind of device."""
        own = [{name: group[name] for name in _ON_CPU} for group in self.param_groups]
        pairs = zip(state["param_groups"], own, strict=False)
        super().load_state_dict({"state": state["state"], "param_groups": [group | mine for group, mine in pairs]})
        for group in self.param_groups:
            self.set_rate(group, group["lr"])


_ON_CPU: dict[str, Any] = {"foreach": None, "capturable": False, "fused": None}  # what says how Adam computes, not what


class Step:
    """Takes steps, eagerly or by replaying one.

    Args:
        fabric: Devices and precision.
        objective: Of (batch, generator), set up by Fabric.
        optimizer: Adam, set up by Fabric.
        adam: The same, not set up.
        method: The objective, not set up.
        capture: Whether to record the step where it can be.

    Attributes:
        generator: Source of all noise; to be seeded before each step.
        watch: Of the terms.
        is_captured: Whether steps are replayed by now.
    """

    def __init__(
        self, fabric: Fabric, objective: nn.Module, optimizer: Any, adam: Adam, method: Objective, *, capture: bool
    ) -> None:
        self._fabric, self._objective, self._optimizer, self._adam = fabric, objective, optimizer, adam
        self._method = method
        self._parameters = list(objective.parameters())
        on_gpu = fabric.device.type == "cuda"
        self.generator = torch.Generator(fabric.device)
        self.watch = watch_of(adam, fabric.device)
        self._wanted = capture and on_gpu and fabric.world_size == 1
        self._taken = 0
        self._replay: Callable[[Any], None] | None = None

    @property
    def is_captured(self) -> bool:
        """Whether steps are replayed."""
        return self._replay is not None

    def take(self, batch: Any) -> None:
        """One step on a batch; NonFiniteError if it is known by now that it or an earlier one broke down."""
        if self._replay is not None:
            self._replay(batch)
        elif self._wanted and isinstance(batch, Tensor) and self._method.is_capturable():
            self._warm_up_or_record(batch)
        else:
            self._eagerly(batch)

    def _eagerly(self, batch: Any) -> None:
        loss, terms = self._objective(batch, self.generator)
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        gradient = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        self.watch.note(Terms(loss=loss.detach(), **terms, gradient_norm=gradient))
        self._optimizer.step()

    def _warm_up_or_record(self, batch: Tensor) -> None:
        self._taken += 1
        if self._taken <= WARM_UP:
            # On another stream than the default one, as the recording will be.
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._eagerly(batch)
            torch.cuda.current_stream().wait_stream(side)
            return
        self._replay = self._record(batch)
        if self._replay is None:
            self._wanted = False
            self._eagerly(batch)
        else:
            self._replay(batch)

    def _record(self, batch: Tensor) -> Callable[[Tensor], None] | None:
        """What replays the step on a batch of this shape; None, said once, if it cannot be recorded."""
        graph, static = torch.cuda.CUDAGraph(), batch.clone()
        graph.register_generator_state(self.generator)
        for group in self._adam.param_groups:
            group["capturable"] = True  # its counts lie on the device already
        try:
            self._optimizer.zero_grad(set_to_none=True)  # so that gradients lie in the graph's memory
            with torch.cuda.graph(graph):
                self._eagerly(static)
        except RuntimeError as why:
            torch.cuda.synchronize()
            for group in self._adam.param_groups:
                group["capturable"] = False
            self._optimizer.zero_grad(set_to_none=True)
            state = self.generator.initial_seed()
            self.generator = torch.Generator(self._fabric.device).manual_seed(state)
            warnings.warn(
                f"the step could not be recorded as a CUDA graph and is taken eagerly: {str(why).splitlines()[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

        def replay(batch: Tensor) -> None:
            static.copy_(batch)
            graph.replay()

        return replay
