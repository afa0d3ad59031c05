"""What a store says of itself, so that damage is found and mended: a checksum of every number, and spare copies of the rest.

``checksum`` is a variable over cells and variables: the CRC-32C of a variable's name, the cell's id and the cell's bytes. It
belongs to the cell, not to a file, so that it also tells a chunk that stands at another one's place, or is an older copy.

What is written once, when the store is made, follows from its plan: metadata, and coordinates. ``spare.zip``, in the folder
of ``checksum``, where zarr does not look for anything, holds copies of these files.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.study.store.guard import METADATA, DamagedError, SoundStore, UnsoundError, read_regular
from dajko.study.store.variables import ALL_VARIABLES, CHECKSUM

SPARE = "spare.zip"
# Bytes of all spare copies together, at most.
_MOST = 1 << 31
# Places in a study, at most.
_MOST_PLACES = 10**8
# The files that may have one: metadata, and the only chunk of a coordinate.
_NAMES = re.compile(r"(?:[A-Za-z0-9][\w.-]*/){0,2}(?:zarr\.json|c(?:/0)*)")


def cell_checksums(name: str, ids: NDArray[np.uint64], values: NDArray[Any]) -> NDArray[np.uint32]:
    """The checksum of a variable of each cell.

    Parameters
    ----------
    name : str
        The variable.
    ids : array of uint64, shape (cells,)
    values : array of shape (cells, ...)
        In the type of the store.
    """
    cells = ids.size
    if not cells:
        return np.empty(0, dtype=np.uint32)
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).reshape(cells, -1).view(np.uint8)
    rows = np.concatenate([ids.astype("<u8").reshape(cells, 1).view(np.uint8), plain], axis=1)
    start, width, content = google_crc32c.value(name.encode()), rows.shape[1], rows.tobytes()
    extend = google_crc32c.extend
    return np.array([extend(start, content[at : at + width]) for at in range(0, len(content), width)], dtype=np.uint32)


class Spare:
    """Spare copies of the files of a store that are written once.

    Parameters
    ----------
    root : Path
        The store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.note = ""
        self._archive: zipfile.ZipFile | None = None
        path = _home(root) / SPARE
        try:
            for folder in (path.parent, *([path.parent.parent] if path.parent.parent != root else [])):
                if folder.is_symlink():
                    raise UnsoundError("is in a folder that is a link")
            archive = zipfile.ZipFile(io.BytesIO(read_regular(path, _MOST)))
            plain = all(i.compress_type == zipfile.ZIP_STORED and _NAMES.fullmatch(i.filename) for i in archive.infolist())
            if not plain or sum(i.file_size for i in archive.infolist()) > _MOST:
                raise UnsoundError("holds something else than spare copies")
            self._archive = archive
        except (FileNotFoundError, NotADirectoryError):
            if path.parent.is_dir():
                self.note = f"{path}: the spare copies are gone"
        except (UnsoundError, zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
            self.note = f"{path}: the spare copies are damaged"

    @property
    def there(self) -> bool:
        """Whether there are spare copies."""
        return self._archive is not None

    @property
    def keys(self) -> list[str]:
        """Which files there are spare copies of."""
        return [] if self._archive is None else self._archive.namelist()

    def checksum(self, key: str) -> int:
        """CRC-32 of a copy."""
        assert self._archive is not None
        return self._archive.getinfo(key).CRC

    def content(self, key: str) -> bytes | None:
        """A copy, None if it is damaged."""
        assert self._archive is not None
        try:
            return self._archive.read(key)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, zlib.error):
            self.note = f"{_home(self.root) / SPARE}: the spare copies are damaged"
            return None


def sound_store(path: Path, remedy: str = "") -> tuple[SoundStore, Spare, dict[str, str]]:
    """A store as it was written, as far as that can be told: what is damaged and has a spare copy is read from that.

    Returns
    -------
    SoundStore, Spare
    dict from str to str
        Sentences about the files that are damaged and have a spare copy.
    """
    store, spare, found = SoundStore(path, remedy=remedy), Spare(path), dict[str, str]()
    for key in spare.keys:
        try:
            content = store.raw(key, _MOST)
        except DamagedError as error:
            content, problem = None, str(error)
        else:
            problem = f"{path / key}: is not there" if content is None else f"{path / key}: is not as it was written"
        if content is None or zlib.crc32(content) != spare.checksum(key):
            copy = spare.content(key)
            if copy is not None:
                store.instead[key], found[key] = copy, problem
    return store, spare, found


def write_spare(path: Path, names: Iterable[str], instead: dict[str, bytes] | None = None) -> None:
    """Write spare copies of the metadata and coordinates of a store; of the whole of them, or of none.

    Parameters
    ----------
    path : Path
        The store.
    names : iterable of str
        Its groups.
    instead : dict from str to bytes, optional
        What is about to be written into some of the files.
    """
    folder = _home(path)
    if not folder.is_dir() or folder.is_symlink():
        return
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for key in _written_once(path, names):
            given = (instead or {}).get(key)
            info = zipfile.ZipInfo(key)  # without the time, so that equal stores have equal copies
            archive.writestr(info, (path / key).read_bytes() if given is None else given)
    temporary = folder / f"{SPARE}.{os.getpid()}.partial"
    temporary.write_bytes(content.getbuffer())
    temporary.replace(folder / SPARE)


def tree_checksum(path: Path) -> str:
    """A checksum of all files of a store but the metadata of its root, by place and content; links are not followed.

    Raises
    ------
    InputError
        If a file may not be read.
    """
    found = hashlib.blake2b(digest_size=16)
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            file = Path(folder) / name
            key = file.relative_to(path).as_posix()
            if key == METADATA:
                continue
            try:
                content = read_regular(file, _MOST)
            except (UnsoundError, FileNotFoundError) as error:
                content = str(error).encode()
            found.update(f"{key} {len(content)} {google_crc32c.value(content)}\n".encode())
    return found.hexdigest()


def _written_once(path: Path, names: Iterable[str]) -> list[str]:
    """Metadata of all groups and arrays, and the chunks of those that are no results."""
    found = [METADATA]
    for name in names:
        group = path / name if name else path
        found += [f"{name}/{METADATA}"] if name else []
        for array in sorted(p.name for p in group.iterdir() if (p / METADATA).is_file()):
            found.append("/".join(filter(None, (name, array, METADATA))))
            if array not in ALL_VARIABLES and array != CHECKSUM:
                files = (f for f in sorted((group / array / "c").rglob("*")) if f.is_file() and f.suffix != ".partial")
                found += [f.relative_to(path).as_posix() for f in files]
    return list(dict.fromkeys(found))


def _home(root: Path) -> Path:
    """The folder of the spare copies: that of the checksums of the first group."""
    if (root / CHECKSUM).is_dir():
        return root / CHECKSUM
    with suppress(OSError):
        return next(iter(sorted(p for p in root.glob(f"*/{CHECKSUM}") if p.is_dir())), root / CHECKSUM)
    return root / CHECKSUM


def one_place(order: NDArray[np.int64], path: Path, remedy: str) -> None:
    """Refuse cells that claim one place of the study, or a place that there cannot be.

    Raises
    ------
    InputError
        If two do.
    """
    asked = order[order >= 0]
    sound = not asked.size or (asked.max() < _MOST_PLACES and np.bincount(asked).max() == 1)
    if (order < -1).any() or not sound:
        raise InputError(
            f"{path}: two of its cells claim one place in the study, so that nobody can tell which is right; {remedy}"
        )
