"""A hash of the sources that decide numbers: two stores with the same hash hold what the same code computed.

Comments, docstrings and layout decide nothing and are left out, as is everything that only schedules, stores or shows.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

_PACKAGE = Path(__file__).parents[1]

# Modules of the package itself that decide no number; a new one does until it stands here.
_NOT_NUMERICAL = ("__init__.py", "__main__.py", "cli.py", "errors.py")
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
    """Hash of the numerical code, 64 hexadecimal digits.

    Reading the syntax takes half a second, so the hash is kept in the user's cache, by what is in the files.
    """
    content = {path.relative_to(package).as_posix(): path.read_bytes() for path in numerical_sources(package)}
    files = hashlib.sha256(Path(__file__).read_bytes())
    for name, source in content.items():
        files.update(f"{name} {len(source)} ".encode() + source)
    known = Path(platformdirs.user_cache_dir("dajko")) / "code" / files.hexdigest()
    with suppress(OSError, UnicodeDecodeError):
        if re.fullmatch("[0-9a-f]{64}", found := known.read_text(encoding="utf-8")):
            return found
    digest = hashlib.sha256()
    for name, source in content.items():
        digest.update(json.dumps([name, _meaning(ast.parse(source.decode("utf-8")))]).encode())
    with suppress(OSError):  # a cache that cannot be written is none
        known.parent.mkdir(parents=True, exist_ok=True)
        temporary = known.with_suffix(f".{os.getpid()}")
        temporary.write_text(digest.hexdigest(), encoding="utf-8")
        temporary.replace(known)
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
