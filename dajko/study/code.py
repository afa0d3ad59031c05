"""A hash of the sources that decide numbers: two stores with the same hash hold what the same code computed.

Comments, docstrings and layout decide nothing and are left out, as is everything that only schedules, stores or shows.
"""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]

# Modules of the package itself that decide no number; a new one does until it stands here.
_NOT_NUMERICAL = ("__init__.py", "cli.py", "errors.py")
# Folders and files below that decide numbers.
_NUMERICAL = ("solvers", "study/experiment.py", "study/seeds.py")


def numerical_sources(package: Path = _PACKAGE) -> list[Path]:
    """The files that decide numbers, sorted."""
    found = [path for path in package.glob("*.py") if path.name not in _NOT_NUMERICAL]
    for name in _NUMERICAL:
        found += (package / name).rglob("*.py") if (package / name).is_dir() else [package / name]
    return sorted(found)


@lru_cache(maxsize=1)
def code_hash(package: Path = _PACKAGE) -> str:
    """Hash of the numerical code, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in numerical_sources(package):
        content = _meaning(ast.parse(path.read_text(encoding="utf-8")))
        digest.update(json.dumps([path.relative_to(package).as_posix(), content]).encode())
    return digest.hexdigest()


def _meaning(node: Any) -> Any:
    """A syntax tree as plain lists, alike in all versions of Python: without docstrings and without what is empty."""
    if isinstance(node, list):
        return [_meaning(child) for child in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, []) and name != "kind"}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    return [type(node).__name__, *([name, _meaning(value)] for name, value in fields.items())]
