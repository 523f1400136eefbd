"""What the processor can do, as far as it matters to ages per second, and how to do without."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

# As Linux spells them; whole numbers of 8 bits take half the time with either of the last two.
_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx_vnni": "VNNI (AVX)",
}


def describe_processor() -> str:
    """Name the processor, which of the sets of instructions it has, and OpenBLAS's kernels."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        has = "its flags cannot be read here"
    else:
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        name, flags = facts.get("model name", name), set(facts.get("flags", "").split())
        has = ", ".join(
            f"{'with' if flag in flags else 'without'} {title}" for flag, title in _FLAGS.items()
        )
    kernels = sorted(
        {str(part["architecture"]) for part in threadpool_info() if "architecture" in part}
    )
    described = f"{name}: {has}; OpenBLAS takes its kernels for {', '.join(kernels) or 'none'}"
    taken = {key: os.environ[key] for key in older_processors()["Prescott"] if key in os.environ}
    if taken:
        described += f"; OpenBLAS, numpy, OpenCV and the C library are held back ({taken}), ONNX "
        described += "Runtime and dlib use all that the processor has"
    return described


def older_processors() -> dict[str, dict[str, str]]:
    """Environment variables that take instructions away, by a processor without them."""
    dispatched = np._core._multiarray_umath.__cpu_dispatch__
    newest = [name for name in dispatched if "AVX512" in name or name == "X86_V4"]
    no_avx512 = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(newest),
        "OPENCV_CPU_DISABLE": "AVX512-SKX",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL",
    }
    no_avx2 = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched),
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FP16",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-FMA",
    }
    return {
        "as it is": {},
        "Haswell": {"OPENBLAS_CORETYPE": "Haswell"} | no_avx512,
        "Zen": {"OPENBLAS_CORETYPE": "Zen"} | no_avx512,
        "Sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge"} | no_avx2,
        "Prescott": {"OPENBLAS_CORETYPE": "Prescott"} | no_avx2,
    }


def run_as(name: str) -> None:
    """Start this program again, as on another processor; these variables are read but once."""
    variables = older_processors()[name]
    if any(os.environ.get(key) != value for key, value in variables.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | variables)
