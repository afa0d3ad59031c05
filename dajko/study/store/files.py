"""Where dajko writes beside its stores: into files and folders of its own, never through a link that somebody has laid."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dajko.errors import InputError
from dajko.study.store.variables import CELLS


def output_folder(path: Path) -> Path:
    """Make a folder for output, or find it.

    Raises
    ------
    InputError
        If there is a link or a file in its place, or a link in it.
    """
    refuse_link(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path}: is not a folder; take it away") from None
    refuse_links(path)
    return path


def refuse_links(directory: Path) -> None:
    """Refuse to write into a directory that holds links, because what is written there would land elsewhere.

    Raises
    ------
    InputError
        If it does; but the store itself may be a link to another disk.
    """
    if directory.is_dir():
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.is_symlink() and entry.name != CELLS:
                refuse_link(Path(entry.path))


def refuse_link(path: Path) -> None:
    """Refuse to write through a link.

    Raises
    ------
    InputError
        If it is one.
    """
    if path.is_symlink():
        raise InputError(f"{path}: is a link, and nothing is written through links; take it away")


def replace_folder(made: Path, target: Path) -> None:
    """Put a folder that is made whole in the place of another one, or of whatever is there."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    shutil.rmtree(target, ignore_errors=True)
    made.rename(target)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; a link in its place is replaced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with temporary.open("x", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
