"""How kernels are compiled: one set of flags, one cache per machine and per state of the sources.

Numba's cache looks at the file of a kernel only and misses edits in kernels that it calls. The cache directory is
therefore named by a hash of all source files that have to do with kernels, and lies in the user's cache directory, so that
many processes, and checkouts on a shared file system, neither collide nor read each other's machine code.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., Any])


def cache_directory() -> Path:
    """Where compiled kernels of these sources are kept on this machine."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return Path(os.environ["NUMBA_CACHE_DIR"])
    package = Path(__file__).parent
    digest = hashlib.sha256(f"{numba.__version__} {platform.python_version()}".encode())
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        if b"numba" in content:
            digest.update(content)
    return Path(platformdirs.user_cache_dir("dajko")) / f"numba-{platform.node()}-{digest.hexdigest()[:16]}"


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(cache_directory())  # type: ignore[attr-defined]


def kernel(function: Function) -> Function:
    """Compile ``function`` with Numba: no Python objects, cached, division as in NumPy, every operation as it is written."""
    return cast("Function", numba.njit(cache=True, error_model="numpy")(function))


def inline_kernel(function: Function) -> Function:
    """Compile like :func:`kernel`, as a part of the kernels that call it, which alone can: Python must not."""
    compiled: Any = numba.njit
    unreachable = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Function", compiled(cache=True, error_model="numpy", forceinline=True, **unreachable)(function))


def sum_kernel(function: Function) -> Function:
    """Compile a function that only reads its arrays and returns sums over them, free to be reordered and vectorised.

    A loop that writes as well must not be compiled so. Before it runs in vector registers, LLVM compares the addresses of
    what is read and what is written, and adds one by one if they look too close: the last bit of the sum would then depend
    on where the arrays happen to lie.
    """
    # NaN and infinity keep their meaning, so that an iteration that diverges is noticed.
    compiled = numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})(function)
    return cast("Function", compiled)
