"""Complete stores that are damaged in every way that we know: each is noticed or harmless, and one run mends it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import ArrayLike

from dajko.status import Status
from dajko.study.store.variables import SUMMARY
from soak import counting, studies
from soak.kills import Undisturbed
from soak.outcome import Outcome
from soak.programs import PATIENCE

# What is done to a store, whose path it is given.
Damage = Callable[[Path], Any]
# Kinds of damage in one run.
_KINDS = 5


def chunk(name: str, block: int = 1) -> str:
    """The chunk of a block of a variable."""
    return f"{name}/c/{block}" + {"density": "/0/0", "status": "", "solve_time": ""}.get(name, "/0")


def flip(path: Path, at: float = 0.5) -> None:
    """Another bit, somewhere in a file."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def swap(first: Path, second: Path) -> None:
    """Exchange two files."""
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def sealed(content: bytes) -> bytes:
    """A chunk with a right checksum."""
    checksum: int = google_crc32c.value(content)
    return content + checksum.to_bytes(4, "little")


def instead(path: Path, make: Callable[[Path], Any]) -> None:
    """Something else in the place of a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def edit(path: Path, **changes: Any) -> None:
    """Change a file of metadata."""
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def codec(path: Path, name: str) -> None:
    """Another codec in the place of the compression."""
    codecs = json.loads(path.read_text())["codecs"]
    edit(path, codecs=[codecs[0], {"name": name, "configuration": {}}])


def attribute(path: Path, **changes: Any) -> None:
    """Other attributes."""
    edit(path, attributes={**json.loads(path.read_text())["attributes"], **changes})


def overwrite(root: Path, name: str, values: ArrayLike) -> None:
    """Other values with right checksums of the file, as an older or another program leaves them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(root, mode="r+")
    array: Any = group[name]
    array[tuple(slice(0, n) for n in np.shape(values))] = values


L1, ORDER, ROOT = chunk("error_l1"), "order/c/0", "zarr.json"
VARIABLE = "error_l1/zarr.json"

# Results: their cells are computed again.
LOST: dict[str, Damage] = {
    "a bit of a chunk": lambda p: flip(p / L1),
    "a bit of a chunk's checksum": lambda p: flip(p / L1, 1.0),
    "a chunk cut short": lambda p: (p / L1).write_bytes((p / L1).read_bytes()[:-1]),
    "an empty chunk": lambda p: (p / L1).write_bytes(b""),
    "a longer chunk": lambda p: (p / L1).write_bytes((p / L1).read_bytes() + b"x"),
    "a chunk of zeros": lambda p: (p / L1).write_bytes(bytes((p / L1).stat().st_size)),
    "a chunk that is gone": lambda p: (p / L1).unlink(),
    "two chunks exchanged": lambda p: swap(p / L1, p / chunk("error_l1", 2)),
    "a chunk of another block": lambda p: shutil.copy(p / chunk("error_l1", 0), p / L1),
    "a chunk of another variable": lambda p: shutil.copy(p / chunk("error_l2"), p / L1),
    "an older chunk, of cells that were not computed": lambda p: overwrite(p, "error_l1", np.full((8, 4), np.nan)),
    "one number of a chunk": lambda p: overwrite(p, "mass", [[1.5]]),
    "noise with a right checksum": lambda p: (p / L1).write_bytes(sealed(b"(\xb5/\xfd" + b"noise" * 30)),
    "a chunk that unpacks to a gigabyte": lambda p: (p / L1).write_bytes(sealed(Zstd().encode(bytes(10**9)))),
    "a chunk of a terabyte": lambda p: os.truncate(p / L1, 10**12),
    "a chunk that is a folder": lambda p: instead(p / L1, lambda f: f.mkdir()),
    "a chunk that is an endless device": lambda p: instead(p / L1, lambda f: f.symlink_to("/dev/zero")),
    "a chunk that is a pipe": lambda p: instead(p / L1, os.mkfifo),
    "a chunk that is a link to another": lambda p: instead(p / L1, lambda f: f.symlink_to(p / chunk("error_l1", 0))),
    "a chunk that is a link to nothing": lambda p: instead(p / L1, lambda f: f.symlink_to("nothing")),
    "a folder of chunks that is a link": lambda p: instead(p / "error_l1/c/1", lambda f: f.symlink_to(p / "error_l1/c/0")),
    "a folder of chunks that is a file": lambda p: instead(p / "error_l1/c/1", lambda f: f.write_text("x")),
    "all chunks of a variable": lambda p: shutil.rmtree(p / "error_l1/c"),
    "a chunk of densities": lambda p: flip(p / chunk("density")),
    "a chunk of densities that is gone": lambda p: (p / chunk("density")).unlink(),
    "a bit of a status": lambda p: flip(p / chunk("status")),
    "a wrong status": lambda p: overwrite(p, "status", np.full(8, Status.NOT_CONVERGED)),
    "a status that there is not": lambda p: overwrite(p, "status", np.full(8, 77)),
    "a bit of the checksums": lambda p: flip(p / chunk("checksum")),
    "checksums that are gone": lambda p: (p / chunk("checksum")).unlink(),
    "checksums of another block": lambda p: shutil.copy(p / chunk("checksum", 0), p / chunk("checksum")),
    "a variable as a whole": lambda p: shutil.rmtree(p / "density"),
}  # fmt: skip

# Files of which there are spare copies.
WRITTEN_ONCE: dict[str, Damage] = {
    "a bit of a coordinate": lambda p: flip(p / "theta/c/0"),
    "a coordinate that is gone": lambda p: (p / "theta/c/0").unlink(),
    "another coordinate": lambda p: shutil.copy(p / ORDER, p / "member/c/0"),
    "values of a coordinate": lambda p: overwrite(p, "theta", np.full(12, 7.0)),
    "two cells that claim one place": lambda p: overwrite(p, "order", [0, 0]),
    "ids cut short": lambda p: (p / "cell_id/c/0").write_bytes((p / "cell_id/c/0").read_bytes()[:-9]),
    "times": lambda p: flip(p / "time/c/0"),
    "a coordinate that is a pipe": lambda p: instead(p / ORDER, os.mkfifo),
    "metadata that are gone": lambda p: (p / VARIABLE).unlink(),
    "metadata of another variable": lambda p: shutil.copy(p / "density/zarr.json", p / VARIABLE),
    "a shape of 10^15": lambda p: edit(p / VARIABLE, shape=[10**15, 4]),
    "a type of objects": lambda p: edit(p / VARIABLE, data_type="object"),
    "another type of numbers": lambda p: edit(p / VARIABLE, data_type="float32"),
    "a codec that runs code": lambda p: codec(p / VARIABLE, "numcodecs.pickle"),
    "a codec that nobody knows": lambda p: codec(p / VARIABLE, "no_such_codec"),
    "another fill value": lambda p: edit(p / VARIABLE, fill_value="x"),
    "other dimensions": lambda p: edit(p / VARIABLE, dimension_names=["time", "cell"]),
    "another order of bytes": lambda p: edit(p / VARIABLE, chunk_key_encoding={"name": "v2"}),
    "JSON cut short": lambda p: (p / VARIABLE).write_text((p / VARIABLE).read_text()[:-9]),
    "empty metadata": lambda p: (p / VARIABLE).write_text(""),
    "metadata that are no text": lambda p: (p / VARIABLE).write_bytes(b"\xff\xfe\x00"),
    "deep metadata": lambda p: (p / VARIABLE).write_text("[" * 100_000),
    "a group in the place of an array": lambda p: edit(p / VARIABLE, node_type="group"),
    "metadata that are a folder": lambda p: instead(p / VARIABLE, lambda f: f.mkdir()),
    "metadata that are an endless device": lambda p: instead(p / VARIABLE, lambda f: f.symlink_to("/dev/zero")),
    "metadata of the root that are gone": lambda p: (p / ROOT).unlink(),
    "empty metadata of the root": lambda p: (p / ROOT).write_text(""),
    "no attributes": lambda p: edit(p / ROOT, attributes={}),
    "another configuration": lambda p: attribute(p / ROOT, configuration="{}"),
    "a group that is not there": lambda p: attribute(p / ROOT, groups='["x"]'),
    "another version": lambda p: attribute(p / ROOT, schema_version=99),
    "spare copies that are gone": lambda p: (p / "checksum/spare.zip").unlink(),
    "spare copies cut short": lambda p: os.truncate(p / "checksum/spare.zip", 1000),
}  # fmt: skip

STATUS_GONE = "a status that is gone"
# Nothing that is shown comes from there: every number is right all the same.
HARMLESS: dict[str, Damage] = {
    "a chunk that a killed writer has begun": lambda p: (p / f"{L1}.x.partial").write_bytes(b"x"),
    "a file that is not ours": lambda p: (p / "density" / "note").write_text("x"),
    "a journal of noise": lambda p: (p.parent / "failures.jsonl").write_bytes(b"\xff\n[1]\n{\n"),
    "a chunk of the summary": lambda p: flip(p.parent / SUMMARY / "error_l1/c/0/0/0"),
    "a chunk of the summary that is gone": lambda p: (p.parent / SUMMARY / "error_l1/c/0/0/0").unlink(),
    "a variable of the summary": lambda p: shutil.rmtree(p.parent / SUMMARY / "error_l1"),
    "metadata of the summary": lambda p: (p.parent / SUMMARY / ROOT).unlink(),
    "attributes of the summary": lambda p: attribute(p.parent / SUMMARY / ROOT, axes='[["x", "x"]]', groups="5"),
    "a summary of noise": lambda p: instead(p.parent / SUMMARY, lambda f: f.write_text("x")),
    STATUS_GONE: lambda p: (p / chunk("status")).unlink(),  # pending, and computed again
}  # fmt: skip


def store_damaged(folder: Path, seed: str, whole: Undisturbed) -> Outcome:
    """Damage a complete store in some ways, one after the other, each of which a run of ``dajko run`` has to mend."""
    rng, outcome = random.Random(seed), Outcome("store", seed)
    file, log = studies.write(folder, studies.content(whole.members)), folder / "cells.log"
    outcome.problems += _told(studies.command(file, "dajko"), log, (0,))
    store = studies.store(file)
    kinds = {**LOST, **WRITTEN_ONCE, **HARMLESS}
    for kind in rng.sample(sorted(kinds), _KINDS):
        kinds[kind](store)
        outcome.disturbances += 1
        status = [sys.executable, "-c", "from dajko.cli import main; main()", "status", str(store.parent), "--verify"]
        found = _told(status, log, (0,) if kind in HARMLESS and kind != STATUS_GONE else (2,))
        found += _told(studies.command(file, "dajko"), log, (0,)) + _told(status, log, (0,))
        if different := studies.different(store, whole.chunks):
            found.append(f"{len(different)} chunks differ, the first {different[0]}")
        outcome.problems += [f"{kind}: {problem}" for problem in found]
        outcome.starts += 1
    outcome.computed = whole.cells
    return outcome


def _told(command: list[str], log: Path, codes: tuple[int, ...]) -> list[str]:
    """What is wrong with the answer of a command: another exit code than these, or a traceback."""
    environment = counting.environment(log, studies.ROOT)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    found = [] if done.returncode in codes else [f"{command[3:]} ended with {done.returncode}: {done.stderr[-300:]}"]
    return found + ([f"{command[3:]} shows a traceback"] if "Traceback" in done.stdout + done.stderr else [])
