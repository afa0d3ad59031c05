"""Configurations of stores that name what this dajko does not know: the numbers need no ingredient to be read and drawn."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from dajko.errors import InputError
from dajko.ingredient import DATA_ONLY
from dajko.study.config.study import StudyConfig


class Raw(dict[str, Any]):
    """A mapping of a configuration as it is written, whose keys can also be asked for as attributes; None for others."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.get(name)
        return Raw(found) if isinstance(found, dict) else found

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The mapping, plain."""
        return copy.deepcopy(dict(self))


class ForeignStudy(StudyConfig):
    """A study with sections that this dajko does not know: these are :class:`Raw`."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The configuration as it is written."""
        return copy.deepcopy(self.__dict__["_content"])

    def model_dump_json(self, **_: Any) -> str:
        """The configuration as it is written."""
        return json.dumps(self.__dict__["_content"])


def unknown(study: StudyConfig) -> list[str]:
    """The sections of a study that this dajko does not know."""
    return [name for name in StudyConfig.model_fields if isinstance(getattr(study, name), Raw)]


def own(study: StudyConfig, path: Path) -> StudyConfig:
    """The study with all of its ingredients, whose modules are imported.

    Raises
    ------
    InputError
        If there are some that nobody knows here, so that nothing of it can be computed.
    """
    if not unknown(study):
        return study
    try:
        return _with_modules(study.model_dump_json())
    except ValidationError:
        raise InputError(f"{path}: {foreign_sentence(study)}; compute it with the dajko that made it") from None


@lru_cache(maxsize=8)
def _with_modules(text: str) -> StudyConfig:
    """A study whose ingredients are imported, wherever they are: whoever computes it wants to run them."""
    return StudyConfig.model_validate_json(text)


def foreign_sentence(study: StudyConfig) -> str:
    """What to say of a study that is not wholly known."""
    sections = unknown(study)
    named = " and ".join(filter(None, [", ".join(sections[:-1]), sections[-1]]))
    return f"its {named} name{'s' if len(sections) == 1 else ''} something that this dajko does not know"


@lru_cache(maxsize=8)
def _known(text: str) -> StudyConfig:
    """A study all of whose ingredients are here; others are not remembered, because their modules may yet be imported."""
    return StudyConfig.model_validate_json(text, context=DATA_ONLY)


def as_stored(text: str, path: Path) -> StudyConfig:
    """The study that a store was made for.

    Parameters
    ----------
    text : str
        The attribute ``configuration``, which is JSON.
    path : Path
        The store, for errors.

    Raises
    ------
    InputError
        If it is no configuration at all.
    """
    try:
        return _known(text)
    except ValidationError:
        pass
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path}: its configuration is none that this dajko understands")
    sections = {name: _section(name, content[name]) for name in StudyConfig.model_fields if name in content}
    plain = ("title", "grid", "time", "theta", "sweep", "zip", "limits", "ensemble", "store", "block", "slabs", "report")
    if {name for name, value in sections.items() if isinstance(value, Raw)} & set(plain):
        raise InputError(f"{path}: its configuration is none that this dajko understands")
    study = ForeignStudy.model_construct(**sections)
    for name in StudyConfig.model_fields:
        if name not in study.__dict__:
            raise InputError(f"{path}: its configuration is none that this dajko understands: {name} is missing")
    study.__dict__["_content"] = content
    return study


def _section(name: str, content: Any) -> Any:
    try:
        return _checker(name).validate_json(json.dumps(content), context=DATA_ONLY)
    except ValidationError:
        return Raw(content) if isinstance(content, dict) else Raw(value=content)


@lru_cache(maxsize=32)
def _checker(name: str) -> TypeAdapter[Any]:
    field = StudyConfig.model_fields[name]
    checked: Any = Annotated[field.annotation, field]
    return TypeAdapter(checked)
