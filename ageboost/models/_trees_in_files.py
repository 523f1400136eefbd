"""Trees in model files: written by their own libraries, checked before these read them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from catboost import CatBoostRegressor
from sklearn.base import BaseEstimator
from xgboost import XGBRegressor

from ageboost.errors import ModelFileError
from ageboost.models._catboost_file import CheckedCatBoost, checked_catboost, save_catboost
from ageboost.models._cuts import load_between_values
from ageboost.models._earlier_files import RENAMED_MODULES
from ageboost.models._xgboost_file import CheckedBooster, check_xgboost

__all__ = ["booster_file", "damaged_trees", "dump_booster", "load_booster", "with_checked_trees"]

_FILES = {XGBRegressor: "regressor.ubj", CatBoostRegressor: "regressor.cbm"}
# Inside another estimator, trees are built by these. The types themselves are not on the list, so
# none is built unchecked unless the user says so.
_CHECKED = {
    "catboost.core.CatBoostRegressor": CheckedCatBoost,
    "xgboost.core.Booster": CheckedBooster,
}
_SCHEMA = "schema.json"


def booster_file(regressor: object) -> str | None:
    """Name the file that a regressor's trees are kept in; None for any other regressor."""
    return _FILES.get(type(regressor))


def dump_booster(regressor: BaseEstimator) -> bytes:
    """Return the trees in their library's own format."""
    if isinstance(regressor, XGBRegressor):
        return bytes(regressor.get_booster().save_raw("ubj"))
    return save_catboost(regressor)


def load_booster(regressor: BaseEstimator, file_name: str, content: bytes, path: Path) -> None:
    """Check trees, and put them into a regressor that has none."""
    try:
        if isinstance(regressor, XGBRegressor):
            check_xgboost(content)
            regressor.load_model(bytearray(content))
            load_between_values(regressor.get_booster(), content)
        else:
            regressor.load_model(blob=checked_catboost(content))
    except ModelFileError as error:
        raise damaged_trees(path, file_name, error) from error
    except Exception as error:
        raise ModelFileError(f"{path}: {file_name} cannot be read: {error}") from error


def with_checked_trees(content: bytes, trusted: Sequence[str]) -> bytes:
    """Name the types that check trees in place of those that do not, and modules as of today."""

    def rename(node: dict) -> dict:
        if node.get("__module__") in RENAMED_MODULES:
            node = node | {"__module__": RENAMED_MODULES[node["__module__"]]}
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        kind = None if name in trusted else _CHECKED.get(name)
        if kind is None:
            return node
        return node | {"__module__": kind.__module__, "__class__": kind.__name__}

    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(buffer, "w") as renamed,
    ):
        for name in dict.fromkeys(archive.namelist()):
            if name != _SCHEMA:
                renamed.writestr(name, archive.read(name))
        schema = json.loads(archive.read(_SCHEMA), object_hook=rename)
        renamed.writestr(_SCHEMA, json.dumps(schema))
    return buffer.getvalue()


def damaged_trees(path: Path, file_name: str, error: ModelFileError) -> ModelFileError:
    """Make the error that names the file whose trees are refused."""
    return ModelFileError(
        f"{path}: {file_name} cannot be read: its trees are damaged or forged: {error}; get the "
        f"file again from whom you trust, or train the model again"
    )
