"""Which device the graphs run on, and the sessions that run them there.

onnxruntime drops to the CPU in silence when CUDA fails, and its list of providers says what it was built with, not what
works. So a device is looked for by asking the driver, and a session is believed only by what it reports once made.
"""

import ctypes
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

logger = logging.getLogger("relatent")

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# TF32 keeps 10 bits of mantissa: golden outputs would differ in the fourth digit. HEURISTIC picks convolution
# algorithms without timing them, so that start-up is short and every worker picks the same. Copies are made on the
# stream that computes, so that a run is one queue and needs no waiting in between.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "do_copy_in_default_stream": "1"}
DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
BUCKETS = (1, 2, 4, 8, 16, 32, 64)  # rows; on CUDA a new number of rows costs a choice of algorithms and memory


class ProviderError(RuntimeError):
    """The provider that was asked for cannot be had."""


class Session(Protocol):
    """What an engine runs: an onnxruntime session, or one bound to a device."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, NDArray], /) -> list[NDArray]:
        """Outputs by name, all of them if None."""

    def get_providers(self) -> list[str]:
        """The one in use first."""


class BoundSession:
    """A graph on a CUDA device: rows filled up to one of BUCKETS, inputs and outputs bound, in page-locked memory.

    Every bucket has been run before the session is handed out.
    """

    def __init__(self, session: Any) -> None:
        """Bind and warm an onnxruntime session that runs on CUDA."""
        self._session = session
        self._names = [output.name for output in session.get_outputs()]
        self._inputs: dict[tuple[str, int], Any] = {}
        given = {value.name: (DTYPES[value.type], tuple(value.shape[1:])) for value in session.get_inputs()}
        for rows in BUCKETS:
            self.run(None, {name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in given.items()})

    def get_providers(self) -> list[str]:
        """The one in use first."""
        return self._session.get_providers()

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, NDArray], /) -> list[NDArray]:
        """Outputs by name, all of them if None, of inputs of n rows each: n rows."""
        n = len(next(iter(feeds.values())))
        bucket = next((rows for rows in BUCKETS if rows >= n), n)
        binding = self._session.io_binding()
        for name, values in feeds.items():
            if (name, bucket) not in self._inputs:
                shape = [bucket, *values.shape[1:]]
                self._inputs[name, bucket] = _pinned(shape, values.dtype)
            held = self._inputs[name, bucket]
            room = held.numpy()  # the very memory, not a copy
            room[:n], room[n:] = values, values[-1]
            binding.bind_ortvalue_input(name, held)
        for name in self._names:
            binding.bind_output(name, "cpu")
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        found = dict(zip(self._names, binding.copy_outputs_to_cpu(), strict=True))
        return [found[name][:n] for name in names or self._names]


def _pinned(shape: list[int], dtype: Any) -> Any:
    """Page-locked memory, which a device reads without a copy in between; plain memory if onnxruntime has no other."""
    kind = onnxruntime.OrtDeviceMemoryType.HOST_ACCESSIBLE
    found = [device.memory_info(kind) for device in onnxruntime.get_ep_devices() if device.ep_name == CUDA]
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, memory_info=found[0] if found else None)


def cuda_devices() -> int:
    """The number of CUDA devices that the driver sees; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def choose_provider(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """Decide where to run: auto is "cuda" if there is a device and onnxruntime was built for it.

    Raises:
        ProviderError: If cuda was asked for and there is no device, or onnxruntime was built without CUDA.
    """
    if wanted == "cpu":
        return "cpu"
    built = CUDA in onnxruntime.get_available_providers()
    devices = cuda_devices()
    if wanted == "cuda" and not built:
        raise ProviderError("provider cuda: this onnxruntime has no CUDA; install requirements/serve-gpu.lock instead")
    if wanted == "cuda" and not devices:
        raise ProviderError("provider cuda: expected a CUDA device and its driver, found none")
    if not (built and devices):
        return "cpu"
    # Only after this call does onnxruntime find the CUDA libraries that were installed as wheels.
    onnxruntime.preload_dlls()
    return "cuda"


def open_session(model: bytes, wanted: Literal["auto", "cpu", "cuda"]) -> Session:
    """Load a graph from an ONNX file's content into a session that computes on one thread.

    With auto, a CUDA device that cannot be used is a warning.

    Raises:
        ProviderError: If cuda was asked for and the session does not run there.
    """
    options = onnxruntime.SessionOptions()
    # One thread per worker: a spinning pool collapses when cores are shared.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # One arena for all sessions, which run in turn, and no plan of it kept per batch size: else each session keeps the
    # memory of its largest run, and a worker grows by a third of what it needs at all.
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    chosen = choose_provider(wanted)
    providers = [(CUDA, CUDA_OPTIONS), CPU] if chosen == "cuda" else [CPU]
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    session.disable_fallback()
    if chosen == "cuda" and session.get_providers()[0] != CUDA:
        if wanted == "cuda":
            raise ProviderError(f"provider cuda: the session runs on {session.get_providers()[0]}; see the log above")
        logger.warning("a CUDA device was found but cannot be used; running on the CPU")
    return BoundSession(session) if session.get_providers()[0] == CUDA else session


@cache
def _share_arena() -> None:
    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # No limit, grown by what is asked for (not by powers of two), and onnxruntime's own choice of the rest.
    onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg(0, 1, -1, -1))
