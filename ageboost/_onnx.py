"""How networks run: ONNX Runtime on one core, since parallelism goes through processes."""

from __future__ import annotations

import os

# Some builds of ONNX Runtime write down and report how they are used, unless set otherwise before
# they are imported. Nothing leaves the machine on our account.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from ageboost._device import check_device
from ageboost.errors import DeviceError

__all__ = ["make_session"]


_CUDA = "CUDAExecutionProvider"


def make_session(model: bytes, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Prepare a network to run.

    Parameters
    ----------
    model : bytes
        The content of an ONNX file.
    device : {"cpu", "cuda"}, default="cpu"

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    DeviceError
        If the device, or ONNX Runtime's part for it, is not there.
    """
    check_device(device)
    options = onnxruntime.SessionOptions()
    # Parallelism goes through n_jobs: a process keeps to its core, and a fork finds no threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    cpu = "CPUExecutionProvider"
    if device == "cpu":
        return onnxruntime.InferenceSession(model, options, providers=[cpu])
    if _CUDA not in onnxruntime.get_available_providers():
        raise DeviceError(
            "device='cuda': the ONNX Runtime that is installed was built without CUDA: install "
            "onnxruntime-gpu in the place of onnxruntime, or pass device='cpu'"
        )
    # TF32 would round to ten bits, which moves ages.
    providers: list[object] = [(_CUDA, {"use_tf32": "0"}), cpu]
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if session.get_providers()[0] != _CUDA:
        raise DeviceError(
            "device='cuda': ONNX Runtime could not start CUDA: install the versions of CUDA and "
            "cuDNN that it was built for, or pass device='cpu'"
        )
    return session
