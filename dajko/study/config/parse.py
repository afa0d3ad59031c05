"""From YAML to checked configuration, with errors that name the key and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from dajko.errors import InputError
from dajko.study.config.reader import SCIENTIFIC, load, read_differently, shortened
from dajko.study.config.study import StudyFile
from dajko.validation import message, shown_value

Model = TypeVar("Model", bound=BaseModel)

# More lines than this, or longer ones, nobody reads.
_MOST_LINES, _LONGEST_LINE, _LONGEST_KEY = 20, 500, 60


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    InputError
        If the file cannot be read or is not YAML.
    """
    text = _text(path)
    try:
        return load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {place}is not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file in UTF-8") from None


def refuse_misreadable(path: Path) -> None:
    """Refuse a file that Snakemake, which reads YAML 1.1, and dajko, which reads YAML 1.2, understand differently.

    Raises
    ------
    InputError
        One line for each word.
    """
    read_yaml(path)
    found = [f"{path}: {clause}" for clause in read_differently(_text(path))]
    if found:
        raise InputError("\n".join(_readable(found)))


def parse_value(text: str, where: str) -> Any:
    """One value of YAML, such as a command line holds it.

    Raises
    ------
    InputError
        If it is not YAML.
    """
    try:
        return load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"{where}: is not a value of YAML") from None


def read_studies(path: Path) -> StudyFile:
    """Read and check the configuration of a file of studies.

    Raises
    ------
    InputError
        One line for each thing that is wrong.
    """
    try:
        return parse(StudyFile, read_yaml(path))
    except InputError as error:
        raise in_file(path, error) from None


def plain(data: Any) -> Any:
    """What others leave, made plain: NumPy's numbers and arrays, and ``1e-3``, which a reader of YAML 1.1 takes for text."""
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, np.ndarray | np.generic):
        return data.tolist()
    if isinstance(data, str) and SCIENTIFIC.match(data):
        return float(data.replace("_", ""))
    return data


def in_file(path: Path, error: InputError) -> InputError:
    """An error in what a file says, with the name of the file before each line."""
    lines = (line.removeprefix(f"{path}: ") for line in str(error).splitlines())
    return InputError("\n".join(f"{path}: {line}" for line in _readable(lines)))


def _readable(lines: Iterable[str]) -> list[str]:
    """Each line once, none too long, not too many, and no characters that a terminal would obey."""
    found = [printable(shortened(line, _LONGEST_LINE)) for line in dict.fromkeys(lines)]
    more = len(found) - _MOST_LINES
    return [*found[:_MOST_LINES], f"and {more} more of the kind"] if more > 0 else found


def printable(text: str) -> str:
    """The text without characters that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def parse_studies(content: Mapping[str, Any]) -> StudyFile:
    """Check the content of a file of studies that something else has read, such as Snakemake.

    Raises
    ------
    InputError
        One line for each thing that is wrong.
    """
    return parse(StudyFile, plain(content))


def parse(model: type[Model], data: Any, prefix: str = "") -> Model:
    """Check ``data`` against a model.

    Parameters
    ----------
    model : pydantic model
    data : object
        What a YAML file held.
    prefix : str
        Dotted key of ``data`` itself, for messages.

    Raises
    ------
    InputError
        One line for each thing that is wrong.
    """
    if not isinstance(data, Mapping):
        where = f"{prefix}: " if prefix else ""
        raise InputError(f"{where}must be a mapping of keys to values, got {shown_value(data)}")
    try:
        return model.model_validate(data, strict=True)
    except ValidationError as error:
        lines = [_sentence(dict(e), data, prefix) for e in error.errors(include_url=False)]
        raise InputError("\n".join(_readable(lines))) from None
    except RecursionError:
        raise InputError(f"{prefix or 'the configuration'}: is nested too deeply") from None


def _sentence(error: dict[str, Any], data: Any, prefix: str) -> str:
    parts, current = [prefix] if prefix else [], data
    location = list(error["loc"])
    if error["type"] in ("unknown_key", "missing_key"):
        location.append(error["ctx"]["key"])
    for i, part in enumerate(location):
        if (isinstance(current, Mapping) and part in current) or (
            isinstance(current, list) and isinstance(part, int) and part < len(current)
        ):
            current = current[part]
        elif not (i == len(location) - 1 and error["type"] in ("missing", "missing_key", "unknown_key")):
            continue  # the tag of a union, which is no key of the file
        parts.append(printable(shortened(str(part), _LONGEST_KEY)))
    return f"{'.'.join(parts) or 'the configuration'}: {message(error)}"
