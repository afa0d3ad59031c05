"""Stores are read as data of strangers: regular files of bounded size, no links, no codec and no type but dajko's own.

zarr reads every file of a store through :class:`SoundStore`. What it may see is checked here, so that a damaged or a hostile
store is answered by a sentence, and nothing that it names is run.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from dajko.errors import InputError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

METADATA = "zarr.json"

# Bytes of a file of metadata, of a decoded chunk, and cells of a store, at most; far more than there can be.
_MOST_METADATA, _MOST_CHUNK, _MOST_CELLS = 1 << 26, 1 << 30, 10**8
# The only types and codecs.
_TYPES = frozenset(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)) | {"float32", "float64"}
_CODECS = (["bytes", "zstd"], ["bytes", "zstd", "crc32c"])
_CRC = 4


class DamagedError(InputError):
    """A file of a store is not as it was written."""


class SoundStore(LocalStore):
    """zarr's store on a file system, which trusts nothing that it finds there.

    Parameters
    ----------
    root : Path
    read_only : bool
    remedy : str
        What mends the store, as the end of a sentence.
    instead : mapping from str to bytes, optional
        What is read in place of files that are damaged.

    Notes
    -----
    Reading raises :class:`DamagedError`; a missing chunk reads as missing, which zarr takes for the fill value.
    """

    def __init__(
        self, root: Path | str, *, read_only: bool = False, remedy: str = "", instead: Mapping[str, bytes] | None = None
    ) -> None:
        super().__init__(root, read_only=read_only)
        self.remedy = remedy
        self.instead = dict(instead or {})
        # Called with the metadata of the root before they change.
        self.before_root: Callable[[bytes], None] | None = None
        self._folders: set[str] = set()
        self._chunks: dict[str, int] = {}

    def with_read_only(self, read_only: bool = False) -> SoundStore:
        """The same store, to be read only or not."""
        same = type(self)(self.root, read_only=read_only, remedy=self.remedy, instead=self.instead)
        same.before_root = self.before_root
        return same

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The content of a file, None if there is none."""
        return self.get_sync(key, prototype=prototype, byte_range=byte_range)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The content of a file, None if there is none."""
        if byte_range is not None:
            raise self.damaged(key, "is asked for in parts, as no chunk of dajko is")
        content = self.content(key)
        return None if content is None else (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file, but not through a link."""
        self.check_way(key)
        if key == METADATA and self.before_root is not None:
            self.before_root(value.to_bytes())
        await super().set(key, value)
        self.instead.pop(key, None)

    def content(self, key: str) -> bytes | None:
        """The checked content of a file of metadata or of a chunk, None if there is none."""
        metadata = key.rpartition("/")[2] == METADATA
        name, _, _ = key.rpartition("/c/") if "/c/" in key else key.rpartition("/c")
        if not metadata and name not in self._chunks and self.content(f"{name}/{METADATA}" if name else METADATA) is None:
            return None
        size = _MOST_METADATA if metadata else self._chunks.get(name, 0)
        content = self.instead.get(key)
        if content is None:
            content = self.raw(key, size if metadata else size + size // 64 + 1024)
        if content is None:
            return None
        if metadata:
            self._chunks[key.rpartition("/")[0]] = self._check_metadata(key, content)
        else:
            self._check_chunk(key, content, size)
        return content

    def raw(self, key: str, most: int) -> bytes | None:
        """The content of a regular file of bounded size, None if there is none."""
        try:
            self.check_way(key)
            return read_regular(self.root / key, most)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise self.damaged(key, "is not there, because something above it is a file") from None
        except UnsoundError as error:
            raise self.damaged(key, str(error)) from None

    def check_way(self, key: str) -> None:
        """Refuse a file in a folder that is a link or none."""
        parts = key.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder in self._folders:
                continue
            try:
                mode = os.lstat(self.root / folder).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return
            if not stat.S_ISDIR(mode):
                raise self.damaged(folder, "is a link" if stat.S_ISLNK(mode) else "is not a folder")
            self._folders.add(folder)

    def damaged(self, key: str, what: str) -> DamagedError:
        """The error that says what is wrong with a file, and what mends it."""
        return DamagedError(f"{self.root / key}: {what}{f'; {self.remedy}' if self.remedy else ''}")

    def _check_metadata(self, key: str, content: bytes) -> int:
        """Refuse metadata that dajko does not write; the size of a chunk in bytes, 0 for a group."""
        try:
            found = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError):
            raise self.damaged(key, "is not JSON") from None
        try:
            return _chunk_bytes(found)
        except _RefusedError as error:
            raise self.damaged(key, str(error)) from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise self.damaged(key, "does not describe a group or an array of zarr's format 3") from None

    def _check_chunk(self, key: str, content: bytes, size: int) -> None:
        """Refuse a chunk that claims to hold something else than its array says, before anything is decoded."""
        if _declared_size(content) != size:
            raise self.damaged(key, "is damaged: it does not hold what its array says")


class UnsoundError(Exception):
    """A file that is not to be read, and why."""


class _RefusedError(Exception):
    """Metadata that are not dajko's, and why."""


def read_regular(path: Path, most: int) -> bytes:
    """Read a regular file of bounded size; neither a link, nor a device, nor a pipe.

    Raises
    ------
    FileNotFoundError
        If there is none.
    UnsoundError
        If it is something else.
    InputError
        If it may not be read.
    """
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise UnsoundError(f"is {kind}, not a file")
    try:
        # Between the look and the opening it may have become something else.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise UnsoundError("is not a file")
            content = opened.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise UnsoundError("is not a file") from None
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise UnsoundError(f"is larger than the {most} bytes that it may have")
    return content


def writing_all_chunks() -> Any:
    """Arrays opened within it write a chunk of nothing but fill values as a file too, so that none may be missing."""
    return zarr.config.set({"array.write_empty_chunks": True})


def intact(content: bytes) -> bool:
    """Whether the checksum at the end of a chunk is that of what stands before it."""
    return len(content) > _CRC and google_crc32c.value(content[:-_CRC]) == int.from_bytes(content[-_CRC:], "little")


def _chunk_bytes(found: dict[str, Any]) -> int:
    if found["zarr_format"] != 3:
        raise _RefusedError("is not of zarr's format 3")
    if not isinstance(found.get("attributes", {}), dict):
        raise _RefusedError("has attributes that are no mapping")
    if found["node_type"] == "group":
        return 0
    if found["node_type"] != "array":
        raise _RefusedError("is neither a group nor an array")
    shape, chunks = found["shape"], found["chunk_grid"]["configuration"]["chunk_shape"]
    whole = all(type(n) is int and n >= 0 for n in [*shape, *chunks]) and len(shape) == len(chunks)
    if not whole or any(n == 0 for n in chunks) or any(n > _MOST_CELLS for n in shape):
        raise _RefusedError(f"has the shape {str(shape)[:60]} in chunks of {str(chunks)[:60]}, which no study has")
    if found["data_type"] not in _TYPES:
        raise _RefusedError("has a type that is no number")
    codecs = [codec["name"] for codec in found["codecs"]]
    if codecs not in _CODECS or found.get("storage_transformers"):
        raise _RefusedError(f"names codecs other than {', '.join(_CODECS[-1])}, which are not run")
    if found["codecs"][0].get("configuration", {}).get("endian", "little") != "little":
        raise _RefusedError("has bytes in an order that dajko does not write")
    encoding = found["chunk_key_encoding"]
    if encoding["name"] != "default" or encoding.get("configuration", {}).get("separator", "/") != "/":
        raise _RefusedError("names its chunks as dajko does not")
    names = found.get("dimension_names")
    if (shape or names) and (
        not isinstance(names, list) or len(names) != len(shape) or not all(isinstance(n, str) and n for n in names)
    ):
        raise _RefusedError("does not name its dimensions")
    fill = found["fill_value"]
    if isinstance(fill, bool) or not (isinstance(fill, int | float) or fill in ("NaN", "Infinity", "-Infinity")):
        raise _RefusedError("has a fill value that is no number")
    if isinstance(fill, str) and not found["data_type"].startswith("float"):
        raise _RefusedError("has a fill value that is no whole number")
    size: int = math.prod(chunks) * np.dtype(found["data_type"]).itemsize
    if size > _MOST_CHUNK:
        raise _RefusedError(f"has chunks of {size} bytes, which no study has")
    return size


def _declared_size(content: bytes) -> int:
    """Bytes that a frame of Zstandard says it holds (RFC 8878, section 3.1.1); -1 if it does not say so."""
    if len(content) < 6 or content[:4] != b"\x28\xb5\x2f\xfd":
        return -1
    descriptor = content[4]
    single, kind = descriptor >> 5 & 1, descriptor >> 6
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    length = (single, 2, 4, 8)[kind]
    return int.from_bytes(content[start : start + length], "little") + (256 if kind == 1 else 0) if length else -1
