"""The imports of the package, read and not run, beside docs/architecture.md."""

import ast
import io
import re
import tokenize
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ageboost"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def tree_of_the_page():
    """Paths that docs/architecture.md names, in its order."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    tree = re.search(r"```\nageboost/\n(.*?)```", text, re.DOTALL)[1]
    folders, paths = ["ageboost"], []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        words = line.split()
        names = [*takewhile(re.compile(r"\w+/|[\w.]+\.(py|jinja)").fullmatch, words)]
        del folders[depth:]
        for name in names:
            paths.append("/".join([*folders, name.rstrip("/")]))
        if names[0].endswith("/"):
            folders.append(names[0].rstrip("/"))
    return paths


def lazy_names(package):
    """Which module each name of a package comes from, as its stub says."""
    stub = ROOT.joinpath(*package.split(".")) / "__init__.pyi"
    found = {}
    if stub.is_file():
        for node in ast.parse(stub.read_text("utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    found[alias.name] = f"{package}.{node.module}"
    return found


def resolve(module, name):
    """The module that a name is imported from, through the packages that pass it on."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if module in MODULES:
        return module
    passed_on = lazy_names(module)
    return resolve(passed_on[name], name) if name in passed_on else module


def imports_of(path):
    """Modules of ageboost that a module imports anywhere, also for type checkers alone."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ageboost"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module.split(".")[0] == "ageboost":
                yield from (resolve(node.module, alias.name) for alias in node.names)


def room_of(module):
    """The folder that a module is in; the modules beside the folders are one room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (PACKAGE / parts[-1]).is_dir() else "ageboost"


def test_the_page_names_every_module_and_no_other():
    named = [path for path in tree_of_the_page() if path.endswith(".py")]
    assert len(named) == len(set(named))
    assert set(named) == {str(path.relative_to(ROOT)) for path in MODULES.values()}


def test_a_room_imports_only_from_rooms_above_it():
    folders = [path.split("/")[1] for path in tree_of_the_page() if path.count("/") == 1]
    order = ["ageboost", *(name for name in folders if (PACKAGE / name).is_dir())]
    arrows = {
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for imported in imports_of(path)
        # The commands alone stand on the package as its users know it.
        if (imported == "ageboost" and room_of(module) != "cli")
        or order.index(room_of(imported)) > order.index(room_of(module))
    }
    assert arrows == set()


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: {*imports_of(path)} - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_name_of_a_package_is_no_name_of_a_module_in_it():
    for stub in PACKAGE.rglob("__init__.pyi"):
        package = ".".join(stub.parent.relative_to(ROOT).parts)
        inside = {path.stem for path in stub.parent.glob("*.py")}
        assert lazy_names(package).keys() & inside == set()


def lines_of_code(node, source):
    """How many lines of a class hold code: no docstrings, comments or blank lines."""
    ignored = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    lines &= {*range(node.lineno, node.end_lineno + 1)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(inner):
            lines -= {*range(inner.body[0].lineno, inner.body[0].end_lineno + 1)}
    return len(lines)


def test_modules_and_classes_stay_small():
    large = []
    for module, path in MODULES.items():
        source = path.read_text("utf-8")
        if len(source.splitlines()) > (450 if module == "ageboost.models.estimator" else 500):
            large.append(module)
        large += [
            f"{module}.{node.name}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ClassDef)
            if node.end_lineno - node.lineno > 250 and lines_of_code(node, source) > 250
        ]
    assert not large
