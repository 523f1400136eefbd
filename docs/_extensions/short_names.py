"""References by short names, as docstrings of a module write them, across modules.

``:class:`FaceFeatures``` leads to ``ageboost.features.FaceFeatures`` from anywhere, since no two
public names are alike. What is not public is shown as code, without a link.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import walk_packages

from sphinx.util.nodes import make_refnode

import ageboost


def setup(app):
    """Register with Sphinx."""
    app.connect("missing-reference", _find_by_short_name)
    return {"parallel_read_safe": True}


def _find_by_short_name(app, env, node, content):
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects
    asked = node["reftarget"]
    found = _by_ending(objects, asked) or _by_ending(objects, _tail(asked))
    if found:
        entry = objects[found]
        return make_refnode(
            app.builder, node["refdoc"], entry.docname, entry.node_id, content, found
        )
    return content if _is_private(_tail(asked)) else None


def _tail(name):
    """The name of an object without the module that it is in: the part from its class on."""
    return ".".join(part for part in name.split(".") if not _is_module(part))


def _is_module(part):
    return part.islower() and part.isidentifier() and part in _MODULES


def _by_ending(objects, name):
    found = [full for full in objects if name and full.endswith(f".{name}")]
    return min(found, key=len) if found else None


def _is_private(name):
    """Whether it is the name of something in ageboost that is not public."""
    return not name or name.split(".")[0] in _NAMES


def _walk():
    for module in walk_packages(ageboost.__path__, "ageboost."):
        if ".pretrained" not in module.name and not module.name.startswith("ageboost.cli"):
            yield module.name


_MODULES = {"ageboost"} | {part for name in _walk() for part in name.split(".")}
_NAMES = {
    name
    for module in _walk()
    for name, value in vars(import_module(module)).items()
    if inspect.isclass(value) or inspect.isfunction(value)
}
