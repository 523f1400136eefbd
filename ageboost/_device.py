"""Where networks run and trees grow: the processor, or a CUDA accelerator."""

from __future__ import annotations

from ageboost.errors import DeviceError

__all__ = ["check_device", "count_cuda_devices"]

DEVICES = ("cpu", "cuda")


def count_cuda_devices() -> int:
    """Count the CUDA devices that this process can use."""
    # Of the libraries that are installed in any case, this one says it without a CUDA build of its
    # own being needed.
    from catboost.utils import get_gpu_device_count

    return get_gpu_device_count()


def check_device(device: str) -> None:
    """Check that a device is known, and there.

    Parameters
    ----------
    device : {"cpu", "cuda"}

    Raises
    ------
    ValueError
        If it is not known.
    DeviceError
        If it is not there.
    """
    if device not in DEVICES:
        raise ValueError(f"device={device!r}: pass 'cpu' or 'cuda'")
    if device == "cuda" and count_cuda_devices() == 0:
        raise DeviceError(
            "device='cuda': no CUDA device can be used here: look whether nvidia-smi lists one, "
            "or pass device='cpu'"
        )
