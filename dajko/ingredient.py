"""Ingredients: what a study or a call is put together from. Each is one class in one file, which computes and configures.

A *family* is what may stand in one place: potentials, profiles, observations. It is a class in the ``__init__`` of a
package; each module of the package is one *kind*, and has the kind's name::

    class DoubleWell(Potential, kind="double_well"):
        '''Potential ``height ((x - center)^2 / distance^2 - 1)^2``.'''

        height: Number = 1.0
        ...

The class becomes a frozen dataclass whose fields pydantic checks, wherever it is made: ``DoubleWell(2.0)`` in Python,
``{kind: double_well, height: 2.0}`` in YAML. An ingredient of somebody else's is named by ``kind: module:Class``, or by the
name of an entry point in the group ``dajko.<family>``.
"""

from __future__ import annotations

import functools
import importlib.util
import pkgutil
import sys
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Self, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError, core_schema

from dajko.checks import shown
from dajko.errors import InputError
from dajko.spelling import old_word
from dajko.validation import message, shown_value

KIND = "kind"
# The context of a validation of what a store says: no module is imported because somebody's store names it.
DATA_ONLY = {"data_only": True}

Member = TypeVar("Member", bound="Ingredient")


@dataclass_transform(frozen_default=True)
class Ingredient(ABC):
    """The base of all families.

    Attributes
    ----------
    family : str
        What its members are called in messages and in the group of entry points, such as ``"potential"``.
    kind : str
        The word by which a configuration names the class.
    label : str
        What people call it, as part of a sentence: ``"a double well potential"``.
    always_said : tuple of str
        Fields that are named to people even if they have their default.
    """

    family: ClassVar[str]
    kind: ClassVar[str]
    label: ClassVar[str]
    always_said: ClassVar[tuple[str, ...]] = ()
    _base: ClassVar[type[Ingredient]]
    _known: ClassVar[dict[str, type[Ingredient]]]

    def __init_subclass__(cls, *, family: str = "", kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if family:
            cls.family, cls._base, cls._known = family, cls, {}
        if not kind:
            return
        cls.kind = kind
        cls.label = cls.__dict__.get("label", f"the {cls.family} {kind.replace('_', ' ')}")
        if cls._known.get(kind, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"there are two classes of the {cls.family} {kind}: {cls._known[kind]} and {cls}")
        dataclass(frozen=True, config=ConfigDict(extra="forbid"))(cls)
        _answer_in_sentences(cls)
        cls._known[kind] = cls

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """All kinds of a family that dajko has, by their words."""
        home = importlib.import_module(cls._base.__module__)
        for module in pkgutil.iter_modules(home.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{home.__name__}.{module.name}")
        return {k: v for k, v in sorted(cls._known.items()) if _is_ours(v)}  # type: ignore[misc]

    @classmethod
    def of_kind(cls, kind: str) -> type[Self]:
        """The class of a kind, imported now if it has not been yet.

        Parameters
        ----------
        kind : str
            The word, ``module:Class``, or the name of an entry point.

        Raises
        ------
        InputError
            If there is none, or what is there is no class of this family.
        """
        if kind not in cls._known and kind.isidentifier():
            name = f"{cls._base.__module__}.{kind}"
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
        if kind in cls._known and _is_ours(cls._known[kind]):
            return cls._known[kind]  # type: ignore[return-value]
        found = cls._elsewhere(kind)
        if found is None:
            raise InputError(f"kind must be one of {', '.join(cls.kinds())}, or module:Class, got {shown_value(kind)}")
        if not (isinstance(found, type) and issubclass(found, cls._base) and KIND in found.__dict__):
            raise InputError(f"{kind} is no {cls.family}: it must be a class derived from {cls._base.__name__}, with a kind")
        return found  # type: ignore[return-value]

    @classmethod
    def is_here(cls, kind: str) -> bool:
        """Whether a kind is dajko's or of an installed plug-in, or its module has been imported already."""
        if ":" not in kind or kind.partition(":")[0] in sys.modules:
            return True
        return any(point.value == kind for point in entry_points(group=f"dajko.{cls.family}"))

    @classmethod
    def _elsewhere(cls, kind: str) -> Any:
        """A class outside of dajko."""
        if ":" not in kind:
            point = next((p for p in entry_points(group=f"dajko.{cls.family}") if p.name == kind), None)
            return None if point is None else point.load()
        name, _, attribute = kind.partition(":")
        try:
            return getattr(importlib.import_module(name), attribute)
        except Exception as error:  # whatever a module of somebody else's does
            raise InputError(f"{kind} cannot be imported: {type(error).__name__}: {error}") from None

    @classmethod
    def word(cls) -> str:
        """The word by which a configuration names this class: its kind, or ``module:Class`` if it is not dajko's."""
        return cls.kind if _is_ours(cls) else f"{cls.__module__}:{cls.__qualname__}"

    def content(self, *, defaults: bool = True) -> dict[str, Any]:
        """The ingredient as a configuration, ``{"kind": ..., ...}``.

        Parameters
        ----------
        defaults : bool
            Whether fields that have their default are in it.
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        usual = {field.name: field.default for field in fields(self)}  # type: ignore[arg-type]
        kept = {k: v for k, v in found.items() if defaults or usual[k] is MISSING or v != usual[k]}
        return {KIND: self.word(), **{k: _lists(v) for k, v in kept.items()}}

    def in_words(self, number: Callable[[float], str]) -> str:
        """What people call it, with the numbers that are not the usual ones.

        Parameters
        ----------
        number : callable
            How a number is written.
        """
        said = {name: getattr(self, name) for name in self.always_said} | self.content(defaults=False)
        texts = [
            f"{name.replace('_', ' ')}{' = ' if len(name) == 1 else ' '}{number(value)}"
            for name, value in said.items()
            if isinstance(value, int | float)
        ]
        return f"{self.label} ({', '.join(texts)})" if texts else self.label


class ByKind:
    """Marks a field of a configuration whose value is an ingredient of a family: ``Annotated[Potential, ByKind()]``.

    A mapping with the key ``kind``, a bare word, which is a kind with its defaults, or the ingredient itself.

    Parameters
    ----------
    default : str
        The kind of a mapping without the key; without a default the key must be there.
    without : tuple of str
        Kinds that cannot stand there.
    """

    def __init__(self, default: str = "", without: tuple[str, ...] = ()) -> None:
        self.default, self.without = default, without

    def __get_pydantic_core_schema__(
        self, source: type[Ingredient], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        self._family = source

        def validate(value: Any, info: core_schema.ValidationInfo) -> Ingredient:
            return self._read(source, value, bool(info.context and info.context.get("data_only")))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.content())
        )

    def _read(self, family: type[Member], value: Any, data_only: bool) -> Member:
        if isinstance(value, family):
            kind, rest = value.kind, dict[str, Any]()
        elif isinstance(value, str):
            kind, rest = value, {}
        elif isinstance(value, Mapping):
            rest = {k: v for k, v in value.items() if k != KIND}
            kind = value.get(KIND, self.default)
            if old_word(dict(value)):
                raise _custom(old_word(dict(value)))
            if not isinstance(kind, str) or not kind:
                if KIND not in value:
                    raise _custom(f"must have the key kind, one of {self._allowed(family)}")
                raise _custom(f"kind must be one of {self._allowed(family)}, got {shown_value(kind)}")
        else:
            raise _custom(
                f"must be a mapping with the key kind, or one of the words {self._allowed(family)}, got {shown_value(value)}"
            )
        if kind in self.without:
            raise _custom(f"kind must be one of {self._allowed(family)}, got {shown_value(kind)}")
        if isinstance(value, family):
            return value
        if data_only and not family.is_here(kind):
            raise _custom(f"{kind} is not imported because a store names it")
        try:
            found = family.of_kind(kind)
        except InputError as error:
            raise _custom(str(error)) from None
        names = [field.name for field in fields(found)]  # type: ignore[arg-type]
        for key in rest:
            if key not in names:
                raise PydanticCustomError(
                    "unknown_key", "unknown key; allowed: {allowed}", {"key": str(key), "allowed": ", ".join([KIND, *names])}
                )
        return cast("Member", _checker(found).validate_python(rest))

    def _allowed(self, family: type[Ingredient]) -> str:
        return ", ".join(kind for kind in family.kinds() if kind not in self.without)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """One alternative for each kind of dajko's, one for the words that need no keys, one for classes of others."""
        words, alternatives = [], []
        for kind, found in self._family.kinds().items():
            if kind in self.without:
                continue
            reference = handler(found.__pydantic_core_schema__)  # type: ignore[attr-defined]
            own = handler.resolve_ref_schema(reference)
            own["properties"] = {KIND: {"const": kind}, **own.get("properties", {})}
            needed = [name for name in own.get("required", []) if name != KIND]
            own["required"] = needed if kind == self.default else [KIND, *needed]
            alternatives.append(reference)
            words += [kind] if not needed else []
        foreign = {
            "type": "object",
            "properties": {KIND: {"type": "string", "pattern": r"^[\w.]+:\w+$"}},
            "required": [KIND],
        }
        return {"anyOf": [*([{"enum": words}] if words else []), *alternatives, foreign]}


@lru_cache(maxsize=256)
def _checker(kind: type[Member]) -> TypeAdapter[Member]:
    return TypeAdapter(kind)


def _is_ours(kind: type[Ingredient]) -> bool:
    return kind.__module__.partition(".")[0] == "dajko"


def _lists(value: Any) -> Any:
    """Tuples as lists, as YAML and JSON have them."""
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _custom(text: str) -> PydanticCustomError:
    return PydanticCustomError("ingredient", "{text}", {"text": text})


def _answer_in_sentences(kind: type[Ingredient]) -> None:
    """Let a class raise :class:`InputError` where its arguments are wrong, instead of pydantic's error."""
    checked = kind.__init__

    @functools.wraps(checked)
    def initialise(self: Ingredient, *given: Any, **named: Any) -> None:
        try:
            checked(self, *given, **named)
        except ValidationError as error:
            first = {str(e["loc"][:1]): dict(e) for e in reversed(error.errors(include_url=False))}
            raise InputError("; ".join(_sentence(e, kind) for e in reversed(first.values()))) from None

    setattr(kind, "__init__", initialise)  # noqa: B010


def _sentence(error: dict[str, Any], kind: type[Ingredient]) -> str:
    name, order, place = kind.__name__, [field.name for field in fields(kind)], list(error["loc"])  # type: ignore[arg-type]
    if place and isinstance(place[0], int) and place[0] < len(order):
        place[0] = order[place[0]]  # it was given by position
    names, where = ", ".join(order), ".".join(str(part) for part in place)
    if error["type"] == "unexpected_keyword_argument":
        return f"{where} is no argument of {name}" + (f"; allowed: {names}" if names else "")
    if error["type"] == "unexpected_positional_argument":
        return f"{name} has no further arguments" + (f" than {names}" if names else "") + f", got {shown(error['input'])}"
    return f"{where} of {name} {message(error)}" if where else f"{name}: {message(error)}"
