"""Which definitions of this package decide the numbers of a cell, and hashes of what they say.

The definitions are those that can be reached, by name, from the functions that compute a cell, and the classes of the
ingredients that its configuration names. So a new ingredient is new code to no cell that does without it. Comments,
docstrings, annotations, imports and the files that definitions stand in decide nothing. In doubt a definition counts as
used.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import platformdirs

_PACKAGE = Path(__file__).parents[2]

# What computes a cell: module and definition.
ROOTS = (
    "study.twin.experiment:build",
    "study.twin.experiment:simulate_many",
    "study.design.seeds:generator",
    "study.design.seeds:noise_key",
)

# Decorators that hand nothing on to anybody but the definition's own users.
_PRIVATE_DECORATORS = {"dataclass", "lru_cache"}
# Modules that only check and name what is given.
_CHECKING = {"ingredient", "validation"}
# What a class has for people.
_WORDS = {"label", "always_said", "in_words"}
# Parts of the syntax that decide nothing.
_MEANINGLESS = {"kind", "annotation", "returns", "type_comment"}
# An ingredient of somebody else's.
_FOREIGN = re.compile(r"^[\w.]+:\w+$")
# What stands in a module beside its definitions, and all that a module defines.
_BODY, _ALL = "", "*"


@dataclass(frozen=True)
class Definition:
    """A function, class or value of a module, or what its module does when it is imported.

    Attributes
    ----------
    name : str
    meaning : str
        Hash of its syntax.
    references : list of str
        Definitions that it names, as ``module:name``.
    """

    name: str
    meaning: str
    references: list[str]


class Sources:
    """The definitions of a package that can decide a number.

    Parameters
    ----------
    package : Path
        Folder of the package.
    roots : sequence of str
        What computes a cell, as ``module:name``.
    """

    def __init__(self, package: Path = _PACKAGE, roots: Iterable[str] = ROOTS) -> None:
        self._roots = tuple(roots)
        self._definitions, self._kinds = _known(package, self._roots)
        self._codes: dict[frozenset[str], str] = {}

    def code(self, words: Iterable[str] = ()) -> str:
        """Hash of all that decides the numbers of a cell whose configuration says these words, 64 hexadecimal digits."""
        said = self._said(words)
        if said not in self._codes:
            used = self._used(said)
            # How definitions hang together counts, too: two of them may have changed places.
            lines = [json.dumps([d.name, d.meaning, sorted(used[r].meaning for r in d.references)]) for d in used.values()]
            lines += [foreign_code(word) for word in said - self._kinds.keys()]
            self._codes[said] = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
        return self._codes[said]

    def meanings(self, words: Iterable[str] = ()) -> dict[str, str]:
        """Hash of each definition that decides the numbers of such a cell, 16 digits, by its module and name."""
        said = self._said(words)
        foreign = {word: foreign_code(word) for word in said - self._kinds.keys()}
        found = {key: d.meaning for key, d in self._used(said).items()} | foreign
        return {key: meaning[:16] for key, meaning in sorted(found.items())}

    def _said(self, words: Iterable[str]) -> frozenset[str]:
        """The words that name an ingredient."""
        return frozenset(word for word in words if word in self._kinds or _FOREIGN.match(word))

    def _used(self, said: frozenset[str]) -> dict[str, Definition]:
        found: dict[str, Definition] = {}
        todo = [*self._roots, *(key for word in said for key in self._kinds.get(word, ()))]
        while todo:
            key = todo.pop()
            if key not in found:
                found[key] = self._definitions[key]
                todo += found[key].references
        return found


@lru_cache(maxsize=64)
def foreign_code(word: str) -> str:
    """Hash of what stands for the code of an ingredient ``module:Class`` of somebody else's, 64 digits.

    The file of its module, and the version of the distributions that have it.
    """
    module = word.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
        content = Path(spec.origin).read_bytes() if spec is not None and spec.origin is not None else b""
    except (ImportError, OSError, ValueError):
        content = b""
    names = packages_distributions().get(module.partition(".")[0], [])
    versions = " ".join(f"{name} {version(name)}" for name in sorted(set(names)))
    return hashlib.sha256(f"{word} {versions} ".encode() + content).hexdigest()


@lru_cache(maxsize=1)
def sources() -> Sources:
    """Those of this package."""
    return Sources()


def _known(package: Path, roots: tuple[str, ...]) -> tuple[dict[str, Definition], dict[str, list[str]]]:
    """Definitions that can be reached with all ingredients, and the classes of each kind.

    Reading the syntax takes a second, so they are kept in the user's cache, by what is in the files.
    """
    files = {path.relative_to(package).as_posix(): path.read_bytes() for path in sorted(package.rglob("*.py"))}
    state = hashlib.sha256(Path(__file__).read_bytes() + repr(roots).encode())
    for name, content in files.items():
        state.update(f"{name} {len(content)} ".encode() + content)
    place = Path(platformdirs.user_cache_dir("dajko")) / "sources" / f"{state.hexdigest()}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(place.read_text(encoding="utf-8"))
        found = {key: Definition(**fields) for key, fields in kept["definitions"].items()}
        if kept["digest"] == _digest([kept["definitions"], kept["kinds"]]):
            return found, kept["kinds"]
    modules = _Package(files)
    kinds = modules.kinds()
    found = modules.reached([*roots, *(key for classes in kinds.values() for key in classes)])
    fields = {key: asdict(definition) for key, definition in found.items()}
    with suppress(OSError):  # a cache that cannot be written is none
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_suffix(f".{os.getpid()}")
        content_text = json.dumps({"digest": _digest([fields, kinds]), "definitions": fields, "kinds": kinds})
        temporary.write_text(content_text, encoding="utf-8")
        temporary.replace(place)
    return found, kinds


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class _Module:
    """The statements of a module by what they define.

    Attributes
    ----------
    definitions : dict from str to list of statements
    imports : dict from str to (str, str)
        Module, and name there unless it is the module itself, of what is imported under a name.
    registered : list of str
        Definitions that a decorator may have handed on to others.
    """

    def __init__(self, tree: ast.Module, name: str, is_package: bool) -> None:
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.registered = [s.name for s in tree.body if isinstance(s, ast.FunctionDef | ast.ClassDef) and _registers(s)]
        self.imports: dict[str, tuple[str, str]] = {}
        self.everything_of: list[str] = []  # modules
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imports[alias.asname or whole] = whole, ""
            elif isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    above = name.split(".")[: len(name.split(".")) - node.level + is_package]
                    source = ".".join([*above, *filter(None, [source])])
                self.imports |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
                self.everything_of += [source] if "*" in self.imports else []
        for statement in tree.body:
            for defined in _defined(statement):
                self.definitions.setdefault(defined, []).append(statement)
        if self.registered:
            self.definitions.setdefault(_BODY, [])


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module defines; what it does besides is part of the module's body."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets) if all(isinstance(target, ast.Name) for target in targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return []
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return []
    inner = (name for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt) for name in _defined(node))
    return list(dict.fromkeys([_BODY, *inner, *_assigned(statement)]))


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, such as those of a tuple."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _registers(definition: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a decorator may hand a definition on: one that is called, such as ``@overload(dot)``."""
    for decorator in definition.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _PRIVATE_DECORATORS:
                pass
            case ast.Call():
                return True
    return False


class _Package:
    """All modules of a package, named without the package's own name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        names = [path.removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".") for path in files]
        self._files = dict(zip(names, files.items(), strict=True))
        self._read: dict[str, _Module] = {}

    def _module(self, name: str) -> _Module:
        if name not in self._read:
            path, content = self._files[name]
            self._read[name] = _Module(ast.parse(content), f"dajko.{name}".strip("."), path.endswith("__init__.py"))
        return self._read[name]

    def kinds(self) -> dict[str, list[str]]:
        """The classes of ingredients, ``class Name(Family, kind="word")``, by their words."""
        found: dict[str, list[str]] = {}
        for module, (_, content) in self._files.items():
            if b"kind=" not in content:
                continue
            for statement in ast.parse(content).body:
                if not isinstance(statement, ast.ClassDef):
                    continue
                for keyword in statement.keywords:
                    if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant):
                        found.setdefault(str(keyword.value.value), []).append(f"{module}:{statement.name}")
        return found

    def reached(self, roots: Iterable[str]) -> dict[str, Definition]:
        """All definitions that can be reached, whatever a configuration says."""
        found: dict[str, Definition] = {}
        todo = list(roots)
        while todo:
            key = todo.pop()
            if key not in found:
                found[key] = self._definition(*key.split(":"))
                todo += found[key].references
        return found

    def _definition(self, module: str, name: str) -> Definition:
        known = self._module(module)
        references = {f"{module}:{_BODY}"} if _BODY in known.definitions and name != _BODY else set()
        if name == _BODY:
            references |= {f"{module}:{other}" for other in known.registered}
        if name == _ALL:
            everything = {f"{module}:{other}" for other in known.definitions}
            return Definition(name, _digest(name), sorted(references | everything))
        statements = known.definitions[name]

        def refer(target: str) -> str:
            if target.partition(":")[0] not in _CHECKING:
                references.add(target)
            return target.partition(":")[2]

        reader = _Reader(lambda name: self._target(module, name), self._inside, refer)
        meaning = _digest([reader.meaning(statement) for statement in statements])
        return Definition(name, meaning, sorted(references - {f"{module}:{name}"}))

    def _target(self, module: str, name: str) -> str | None:
        """What a name means in a module: ``module:name`` for a definition, ``module:*`` for a module of this package."""
        known = self._module(module)
        if name in known.definitions:
            return f"{module}:{name}"
        if name not in known.imports:
            found = (self._target(_inner(source), name) for source in known.everything_of if _is_ours(source))
            return next(filter(None, found), None)
        source, there = known.imports[name]
        if not _is_ours(source):
            return None
        return self._inside(f"{_inner(source)}:{_ALL}", there) if there else f"{_inner(source)}:{_ALL}"

    def _inside(self, module: str | None, name: str) -> str | None:
        """What a name means that is looked up in a module."""
        if module is None or not module.endswith(f":{_ALL}"):
            return None
        source = module.partition(":")[0]
        inner = f"{source}.{name}".strip(".")
        if inner in self._files:
            return f"{inner}:{_ALL}"
        return self._target(source, name) or f"{source}:{_ALL}"


def _is_ours(module: str) -> bool:
    return module == "dajko" or module.startswith("dajko.")


def _inner(module: str) -> str:
    return module.removeprefix("dajko").removeprefix(".")


class _Reader:
    """Reads syntax as plain lists, alike in all versions of Python, and tells of the definitions that it names."""

    def __init__(
        self,
        target: Callable[[str], str | None],
        inside: Callable[[str | None, str], str | None],
        refer: Callable[[str], str],
    ) -> None:
        self._target, self._inside, self._refer = target, inside, refer

    def meaning(self, node: Any) -> Any:
        """A syntax tree without docstrings, imports, annotations and what is empty."""
        if isinstance(node, list):
            return [self.meaning(child) for child in node if not isinstance(child, ast.Import | ast.ImportFrom)]
        if not isinstance(node, ast.AST):
            return repr(node)
        named = self._named(node)
        if named is not None:
            return ["definition", self._refer(named)]
        left_out = {"kind", "returns", "type_comment"} | (
            {"annotation"} if isinstance(node, ast.arg | ast.AnnAssign) else set()
        )
        fields = {name: v for name, v in ast.iter_fields(node) if v not in (None, []) and name not in left_out}
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            fields["body"] = node.body[1:]
        if isinstance(node, ast.ClassDef):
            fields["body"] = [child for child in fields.get("body", []) if not _for_people(child)]
        return [type(node).__name__, *([name, self.meaning(value)] for name, value in fields.items())]

    def _named(self, node: ast.AST) -> str | None:
        """The definition of this package that an expression is, such as ``Grid`` or ``distance.l1``."""
        match node:
            case ast.Name(id=name):
                return self._target(name)
            case ast.Attribute(value=value, attr=name):
                return self._inside(self._named(value), name)
        return None


def _for_people(statement: ast.stmt) -> bool:
    """Whether a statement of a class is about how it is called."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.FunctionDef(name=name):
            return name in _WORDS
    return False
