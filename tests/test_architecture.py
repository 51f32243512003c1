"""Imports run one way: run_study -> reports -> studies -> fame."""

from __future__ import annotations

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "fame": {"studies", "reports", "run_study", "mlflow", "optuna", "typer", "rich"},
    "studies": {"reports", "run_study"},
    "reports": {"run_study", "mlflow", "optuna"},
}
ONLY_THERE = {
    "mlflow": {"studies/mirrored.py", "studies/tracking.py"},
    "optuna": {f"studies/search/{name}.py" for name in ("sampler", "search", "space", "storage")},
    "ray": {"studies/harness/ray_cluster.py", "studies/harness/ray_workers.py"},
}


def names_imported(path: Path) -> set[str]:
    """Full names of every import in a file, hidden ones included: `from a import b` is "a.b"."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported(path: Path) -> set[str]:
    """Top-level names of every import in a file."""
    return {name.partition(".")[0] for name in names_imported(path)}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_import_runs_the_other_way(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): found for path in files if (found := imported(path) & FORBIDDEN[room])}
    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = [path for room in FORBIDDEN for path in (ROOT / room).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}
    graph = {
        module: {name if name in modules else name.rpartition(".")[0] for name in names_imported(path)} & set(modules)
        for module, path in modules.items()
    }
    TopologicalSorter(graph).prepare()  # CycleError names the modules of a circle


@pytest.mark.parametrize("package", ONLY_THERE)
def test_a_tool_is_known_in_its_room_only(package: str) -> None:
    files = [path for room in FORBIDDEN for path in (ROOT / room).rglob("*.py")] + [ROOT / "run_study.py"]
    using = {path.relative_to(ROOT).as_posix() for path in files if package in imported(path)}
    assert using <= ONLY_THERE[package]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_every_file_is_in_the_wheel(room: str) -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    named = {path for pattern in setup["package-data"].get(room, ()) for path in (ROOT / room).glob(pattern)}
    files = {path for path in (ROOT / room).rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    modules = {path for path in files if path.suffix == ".py"}
    assert f"{room}*" in setup["packages"]["find"]["include"] and files - modules <= named
    assert all((path.parent / "__init__.py") in modules for path in modules)
