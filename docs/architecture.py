"""The rooms of dajko and which of them import which: ``python docs/architecture.py`` writes both into architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dajko"
PAGE = Path(__file__).with_suffix(".md")
BEGIN, END = "<!-- made by python docs/architecture.py -->\n", "<!-- end -->\n"

# From the top down: a room imports those below it, none above it, and none in its own line but what it is named with.
ROOMS = (
    "cli",
    "terminal",
    "report",
    "study.commands",
    "study.execution",
    "study.store",
    "study.twin",
    "study.design",
    "study.config",
    "flow",
    "euclidean",
    "movement",
    "solvers",
    "lanes",
    "certify",
    "problem",
    "transport",
    "data",
    "energy",
    "resolution",
    "distance",
    "quadrature",
    "observation",
    "profile",
    "grid",
    "distribution",
    "ingredient",
    "validation",
    "spelling",
    "signals",
    "status",
    "checks",
    "_numba",
    "errors",
)


def modules() -> dict[str, Path]:
    """The modules of the package, named without the package's own name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return {name: path for name, path in found.items() if name not in ("__init__", "__main__", "study")}


def room_of(module: str) -> str:
    """The room that a module stands in."""
    return next((room for room in ROOMS if module == room or module.startswith(f"{room}.")), module)


def imports(path: Path, *, only_at_once: bool = False) -> set[str]:
    """The modules of dajko that a file imports, also later on; or only those that it imports at once."""
    tree, known, found = ast.parse(path.read_text(encoding="utf-8")), modules(), set()
    late = {id(inner) for node in ast.walk(tree) if only_at_once and _is_late(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in late:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("dajko.") in known else node.module for name in inner]
        found |= {name.removeprefix("dajko.") for name in names if name.startswith("dajko.")} & known.keys()
    return found


def _is_late(node: ast.AST) -> bool:
    """Whether what stands in a statement is not executed when its module is imported."""
    match node:
        case ast.FunctionDef() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in modules().items():
        here = room_of(module)
        found.setdefault(here, set()).update(room_of(other) for other in imports(path))
        found[here].discard(here)
    return found


def table() -> str:
    """The rooms with what is in them and what they import, as Markdown."""
    known, lines = modules(), ["| room | files | lines | imports |", "|---|---|---|---|"]
    for room, others in arrows().items():
        files = [path for module, path in known.items() if room_of(module) == room]
        size = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
        below = ", ".join(f"`{other}`" for other in ROOMS if other in others)
        lines.append(f"| `{room}` | {len(files)} | {size} | {below} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with today's table."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
