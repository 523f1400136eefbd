import importlib
import json
import subprocess
import sys

import pytest

HEAVY = {
    *("catboost", "crepes", "cv2", "dlib", "joblib", "matplotlib", "onnx", "onnxruntime", "pandas"),
    *("fastapi", "scipy", "skimage", "sklearn", "skops", "sqlalchemy", "uvicorn", "xgboost"),
}
PACKAGES = ["ageboost"] + [
    f"ageboost.{room}"
    for room in (
        *("batch", "datasets", "evaluation", "evaluation.report", "faces", "features", "models"),
        *("retail", "serve"),
    )
]


def heavy_modules_after(program):
    """Run a program in a process of its own and return which heavy modules it has imported."""
    report = (
        "; import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program + report], capture_output=True, check=True, text=True
    ).stdout
    return HEAVY & set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize(
    "program",
    [
        f"import {', '.join(PACKAGES)}",
        "import ageboost; ageboost.NoFaceError; dir(ageboost)",
        "import ageboost.cli",
        "from typer.testing import CliRunner; import ageboost.cli; "
        "assert CliRunner().invoke(ageboost.cli.app, ['--help']).exit_code == 0",
    ],
)
def test_heavy_modules_wait_until_they_are_used(program):
    assert not heavy_modules_after(program)


def test_reading_photos_needs_no_regressor():
    assert not heavy_modules_after("import ageboost; ageboost.read_photo") - {"pandas", "numpy"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert name in dir(module)
        assert getattr(module, name) is not None


def test_a_function_goes_before_the_module_of_its_name():
    program = (
        "from ageboost.features.gradients import HOG; from ageboost.models.spaces import *; "
        "from ageboost.features import hog; from ageboost.models import search_space; "
        "assert callable(hog) and callable(search_space)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error():
    import ageboost

    with pytest.raises(AttributeError, match="ageboost attribute load_pretrain"):
        ageboost.load_pretrain  # noqa: B018
    assert not hasattr(ageboost, "__wrapped__")


def test_a_model_is_loaded_without_its_networks():
    program = (
        "from ageboost.features import Network; Network.run = None; "
        "import ageboost; ageboost.load_pretrained()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
