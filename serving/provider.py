"""Which device the graphs run on, and the sessions that run them there.

onnxruntime drops to the CPU in silence when CUDA fails, and its list of providers says what it was built with, not what
works. So a device is looked for by asking the driver, and a session is believed only by what it reports once made.
"""

import ctypes
import logging
from functools import cache
from typing import Literal

import onnxruntime

logger = logging.getLogger("relatent")

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# TF32 keeps 10 bits of mantissa: golden outputs would differ in the fourth digit. HEURISTIC picks convolution
# algorithms without timing them, so that start-up is short and every worker picks the same.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


class ProviderError(RuntimeError):
    """The provider that was asked for cannot be had."""


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
    """Decide where to run.

    Args:
        wanted: The setting.

    Returns:
        "cuda" if it was asked for, or if auto finds a device and an onnxruntime built for it; else "cpu".

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


def open_session(model: bytes, wanted: Literal["auto", "cpu", "cuda"]) -> onnxruntime.InferenceSession:
    """Load a graph.

    Args:
        model: The ONNX file's content.
        wanted: The setting; with auto, a CUDA device that cannot be used is a warning, with cuda an error.

    Returns:
        A session that computes on one thread; its `get_providers()[0]` is the provider in use.

    Raises:
        ProviderError: If cuda was asked for and the session does not run there.
    """
    options = onnxruntime.SessionOptions()
    # One thread per worker: a spinning pool collapses when cores are shared, and batching gains nothing on a CPU.
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
    return session


@cache
def _share_arena() -> None:
    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # No limit, grown by what is asked for (not by powers of two), and onnxruntime's own choice of the rest.
    onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg(0, 1, -1, -1))
