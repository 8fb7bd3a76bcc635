"""Tests of the source code: who imports whom, and what shall not occur."""

import ast
from pathlib import Path

import pytest

import skdeepcluster

PACKAGE = Path(skdeepcluster.__file__).parent
NAME = PACKAGE.name

# Imports point down, to a smaller number; never up or sideways.
LEVELS = {
    "": 8,  # the package itself
    "_cdc": 7,
    "_dacae": 7,
    "_decda": 7,
    "_deepclue": 7,
    "_itec": 7,
    "_embedded": 6,
    "_viewgraph": 5,  # may initialise the methods with autoencoders
    "_ensemble": 4,  # of U-SPEC by default; may initialise deep methods
    "_layers": 3,
    "_uspec": 3,
    "_base": 2,
    "_cut": 2,
    "_neighbor_classes": 2,
    "_images": 1,
    "_training": 1,
    "augment": 1,
    "consensus": 1,
    "datasets": 1,
    "display": 1,
    "losses": 1,
    "metrics": 1,
    "networks": 1,
    "topology": 1,
    "_callbacks": 0,
    "_device": 0,
    "_kmeans": 0,
    "_warnings": 0,
}
FOR_USERS_ONLY = {"datasets", "display", "metrics"}


def module_name(path):
    """Name of a module within the package, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {
    name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()
}


def imported_names(tree):
    """Full names of all that a module imports, at its top or anywhere else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # a relative import would need resolving: there are none
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree):
    """Modules of this package that a module imports."""
    targets = set()
    for full_name in imported_names(tree):
        package, _, name = full_name.partition(".")
        if package == NAME:
            # an import of what is in a module rather than of the module
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            targets.add(name)
    return targets


def level(name):
    """Level of a module; those of a sub-package share that of the sub-package."""
    return LEVELS[name.partition(".")[0]]


def calls(tree):
    """Last parts of the names of all functions called, as often as they are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    for target in own_imports(TREES[name]):
        is_own_part = name and target.partition(".")[0] == name.partition(".")[0]
        assert is_own_part or level(target) < level(name), (
            f"{name or NAME} imports {target or NAME}"
        )


@pytest.mark.parametrize("name", MODULES)
def test_what_is_for_users_serves_no_other_module(name):
    """Labels never train, so no estimator needs scores or data sets."""
    if name:
        assert not own_imports(TREES[name]) & FOR_USERS_ONLY


def test_gradients_are_taken_in_one_place():
    found = [
        name
        for name, tree in TREES.items()
        for call in calls(tree)
        if call in {"backward", "grad"}
    ]
    assert found == ["_training"]


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_printed_or_asserted(name):
    assert "print" not in calls(TREES[name])
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(TREES[name]))


@pytest.mark.parametrize("name", MODULES)
def test_nothing_seeds_the_process(name):
    """``manual_seed`` is for the block that puts the generators back."""
    seeding = {"manual_seed", "manual_seed_all", "seed", "set_rng_state"}
    if name != "_device":
        assert not seeding & set(calls(TREES[name]))


def test_the_package_itself_holds_no_code():
    docstring, *rest = TREES[""].body
    assert isinstance(docstring, ast.Expr)
    for node in rest:
        assert isinstance(node, ast.ImportFrom | ast.Assign)
    assert set(skdeepcluster.__all__) <= set(vars(skdeepcluster))


class TestTheseChecks:
    """They find what they look for."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("import torch, skdeepcluster.losses", {"losses"}),
            ("from skdeepcluster import augment, losses", {"augment", "losses"}),
            ("from skdeepcluster._base import BaseDeepClustering", {"_base"}),
            ("def f():\n    from skdeepcluster.metrics import x", {"metrics"}),
            ("from skdeepcluster import __version__", {""}),
            ("import skdeepcluster", {""}),
            ("import skdeepcluster_extra.losses, torch", set()),
        ],
    )
    def test_imports(self, source, expected):
        assert own_imports(ast.parse(source)) == expected

    def test_calls(self):
        tree = ast.parse("a(); b.c(d())(); e")
        assert sorted(calls(tree)) == ["a", "c", "d"]
