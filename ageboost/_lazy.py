"""Packages whose modules are imported when one of their names is first used."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from types import ModuleType

__all__ = ["import_when_used"]


class _LazyPackage(ModuleType):
    """A package that knows which of its modules has which name, and imports it when asked."""

    _module_of: dict[str, str]

    def __getattr__(self, name: str) -> object:
        # Only called for what is not there yet.
        if name in self._module_of:
            value = getattr(import_module(self._module_of[name]), name)
            self.__dict__[name] = value
            return value
        module = f"{self.__name__}.{name}"
        if not name.startswith("_"):
            try:
                return import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a module puts it into its package, also over a function of the same name.
        if name in self._module_of and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._module_of})


def import_when_used(package: str) -> None:
    """Import what a package names under ``if TYPE_CHECKING`` as soon as it is used, not before.

    People who import ageboost need not wait for XGBoost when all they want is to read a photo. Type
    checkers and editors see the imports as they stand.

    Parameters
    ----------
    package : str
        Its ``__name__``; to be called in its ``__init__.py``.

    Examples
    --------
    >>> import ageboost
    >>> ageboost.read_photo
    <function read_photo at ...>
    """
    module = sys.modules[package]
    spec = module.__spec__
    source = spec.loader.get_source(package) if spec and spec.loader else None  # type: ignore[attr-defined]
    module_of = {
        alias.name: statement.module
        for block in ast.parse(source or "").body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }
    module.__dict__["_module_of"] = module_of
    module.__class__ = _LazyPackage
