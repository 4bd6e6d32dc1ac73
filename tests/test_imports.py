"""The architecture's one rule: a folder imports only folders on its left; and what stays light."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtrans

ORDER = (
    "core",
    "video",
    "data",
    "models",
    "train",
    "infer",
    "measure",
    "study",
    "report",
    "interop",
    "bench",
    "app",
)
APART = {"models": ("video", "data")}
NEEDS = {"mtrans.interop.lmms_eval": "lmms_eval"}  # modules that only another tool imports

ROOT = Path(mtrans.__file__).parent
MODULES = sorted(m.name for m in pkgutil.walk_packages(mtrans.__path__, "mtrans."))


def _files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yields (line, imported module) for every import, those inside functions included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports in full, from mtrans..."
            assert node.module
            yield node.lineno, node.module
            if node.module == "mtrans":  # from mtrans import app
                yield from ((node.lineno, f"mtrans.{alias.name}") for alias in node.names)


def _wrong(folder: str, imported: str) -> str | None:
    """Returns what is wrong with an import from a folder of the package."""
    parts = imported.split(".")
    if parts[0] != "mtrans" or len(parts) < 2 or parts[1] not in ORDER or parts[1] == folder:
        return None
    if folder not in ORDER:
        return None
    if ORDER.index(parts[1]) > ORDER.index(folder):
        return f"{folder}/ imports {parts[1]}/, which stands to its right"
    if parts[1] in APART.get(folder, ()):
        return f"{folder}/ imports {parts[1]}/, which it must do without"
    return None


def test_folders_import_only_to_their_left():
    wrong, seen = [], 0
    for file in _files():
        folder = file.relative_to(ROOT).parts[0]
        for line, imported in _imports(file):
            seen += imported.startswith("mtrans.")
            if reason := _wrong(folder, imported):
                wrong.append(f"{file.relative_to(ROOT)}:{line}: {reason} ({imported})")
    assert seen > 100, "the imports were not found"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("folder", "imported", "wrong"),
    [
        ("core", "mtrans.video.decode", True),
        ("models", "mtrans.data.cache", True),
        ("models", "mtrans.video.clip", True),
        ("measure", "mtrans.report.build", True),
        ("train", "mtrans.models.lora", False),
        ("app", "mtrans.core.errors", False),
        ("core", "numpy", False),
    ],
)
def test_the_rule_itself(folder, imported, wrong):
    assert (_wrong(folder, imported) is not None) == wrong


def test_every_folder_is_in_the_order():
    folders = {f.relative_to(ROOT).parts[0] for f in _files() if f.parent != ROOT}
    assert folders <= set(ORDER)


def _loaded_by(statement: str) -> set[str]:
    """Returns the modules that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_mtrans_is_light():
    heavy = {"torch", "numpy", "transformers", "av", "yaml", "typer", "rich"}
    assert not heavy & _loaded_by("import mtrans")


def test_the_command_line_and_measuring_need_no_torch():
    light = [m for m in MODULES if m.startswith(("mtrans.measure", "mtrans.core", "mtrans.report"))]
    light += [m for m in MODULES if m.startswith("mtrans.app")]
    light += [m for m in MODULES if m.startswith("mtrans.interop") and m not in NEEDS]
    light += ["mtrans.data.manifest", "mtrans.data.check"]
    light += [f"mtrans.train.{name}" for name in ("run_folder", "opening", "circumstances")]
    light += ["mtrans.video.worlds.make"]
    loaded = _loaded_by("\n".join(f"import {name}" for name in light))
    assert set(light) <= loaded
    assert not {"torch", "transformers", "peft", "accelerate"} & loaded


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    importlib.import_module(name)
