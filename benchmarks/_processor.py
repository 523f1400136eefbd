"""What the processor can do, as far as it matters to ages per second."""

from __future__ import annotations

import platform
from pathlib import Path

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
    return f"{name}: {has}; OpenBLAS takes its kernels for {', '.join(kernels) or 'none'}"
