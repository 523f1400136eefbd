"""How networks run: ONNX Runtime on one core, since parallelism goes through processes."""

from __future__ import annotations

import os

# Some builds of ONNX Runtime write down and report how they are used, unless told not to before
# they are imported. Nothing leaves the machine on our account.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["make_session"]


def make_session(model: bytes) -> onnxruntime.InferenceSession:
    """Prepare a network to run.

    Parameters
    ----------
    model : bytes
        The content of an ONNX file.

    Returns
    -------
    onnxruntime.InferenceSession
    """
    options = onnxruntime.SessionOptions()
    # Parallelism goes through n_jobs: a process keeps to its core, and a fork finds no threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
