"""Other processors, as far as this one can stand in for them: the same tests must pass there."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

# Whether a row has the same age in any batch, and whether reasons add up to it.
TESTS = ["tests/test_exact.py", "tests/test_same_answer.py", "tests/test_explanation.py"]
CHOSEN = (
    "test_exact or add_up or parts_of_any_size or (alone_and_among_others and (fast or classical))"
)
# Kernels of OpenBLAS, and the instructions that they are made of.
KERNELS = {
    "Prescott": ["SSE3"],
    "Sandybridge": ["AVX"],
    "Haswell": ["AVX2", "FMA3"],
}
ASK = """
import numpy, threadpoolctl
print([part.get("architecture") for part in threadpoolctl.threadpool_info()])
"""


def environment(kernel):
    """Let numpy and OpenCV, too, do without what the processor of these kernels does not have."""
    without = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    dispatched = np._core._multiarray_umath.__cpu_dispatch__
    newest = [name for name in dispatched if "AVX512" in name or name == "X86_V4"]
    old = kernel in ("Prescott", "Sandybridge")
    return without | {
        "OPENBLAS_CORETYPE": kernel,
        "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched if old else newest),
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2" if old else "AVX512-SKX",
    }


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_ages_are_the_same_in_any_batch_and_reasons_add_up_with_the_kernels_of(kernel):
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("OPENBLAS_CORETYPE names other kernels here")
    features = np._core._multiarray_umath.__cpu_features__
    lacking = [name for name in KERNELS[kernel] if not features.get(name)]
    if lacking:
        pytest.skip(f"this processor has no {', '.join(lacking)}")
    variables = environment(kernel)
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=variables, check=True, capture_output=True, text=True
    )
    # OpenBLAS calls its oldest kernels by the name of a still older processor.
    if kernel not in asked.stdout and not (kernel == "Prescott" and "Katmai" in asked.stdout):
        pytest.skip(f"numpy's library has no kernels of that name: it chose {asked.stdout.strip()}")
    options = ["-q", "-p", "no:cacheprovider", "-k", CHOSEN]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *TESTS],
        cwd=ROOT,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    assert " passed" in result.stdout
