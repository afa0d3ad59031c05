"""What a study's directory holds, and what its stores look like: names and variables.

There is one flat dimension ``cell``. A block of cells is one chunk along ``cell`` of every variable; one task computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zarr.codecs import Crc32cCodec, ZstdCodec

from dajko.study.config.study import StudyConfig

CELLS, SUMMARY, MANIFEST, FAILURES = "cells.zarr", "summary.zarr", "study.done.json", "failures.jsonl"
PERFORMANCE, PERFORMANCE_PAGE = "performance.json", "performance.html"
# A store that is made whole and has not taken its place yet.
NEW = f".{CELLS}.new"
# Where Snakemake's jobs say which of the slabs of a study they have finished.
SLABS = "slabs"

# How chunks are written: the checksum last, over the bytes of the file.
CODECS = (ZstdCodec(level=0), Crc32cCodec())


@dataclass(frozen=True)
class Variable:
    """A variable of the store: its dimensions after ``cell``, its type and how it is described."""

    dims: tuple[str, ...]
    dtype: str
    long_name: str
    units: str = "1"


TIME, X, OBSERVATION = "time", "x", "observation"
# Coordinates along ``cell`` that every store has.
ID, ORDER, MEMBER, SEED_KEY = "cell_id", "order", "member", "seed_key"
# Checksums of each cell, in the order of the attribute `variables`; made with a block, before its status.
CHECKSUM, CHECKED = "checksum", "variables"
# Of a summary: sentences about the damaged cells that it had to leave out.
DAMAGE = "damage"
# The order of a cell that the study does not ask for any more.
NOT_ASKED = -1

VARIABLES: dict[str, Variable] = {
    "density": Variable((TIME, X), "f8", "density of the daJKO flow"),
    "truth": Variable((TIME, X), "f8", "true density"),
    "data": Variable((TIME, OBSERVATION), "f8", "noisy data, NaN at times without data"),
    "data_exact": Variable((TIME, OBSERVATION), "f8", "measurements of the truth"),
    "observed": Variable((TIME, OBSERVATION), "f8", "measurements of the daJKO flow"),
    "error_l1": Variable((TIME,), "f8", "L1 distance to the truth"),
    "error_l2": Variable((TIME,), "f8", "L2 distance to the truth"),
    "error_w2": Variable((TIME,), "f8", "Wasserstein distance W2 to the truth, both normalised"),
    "energy": Variable((TIME,), "f8", "energy F of the model"),
    "mass": Variable((TIME,), "f8", "mass"),
    "odd_even": Variable((TIME,), "f8", "relative amplitude of the mode that alternates from point to point"),
    "resolution": Variable((TIME,), "f8", "width of the narrowest peak in mesh widths, 13 at most"),
    "truth_outside": Variable((TIME,), "f8", "part of the mass of the truth that is outside the domain"),
    "iterations": Variable((TIME,), "i4", "iterations of the solver"),
    "residual": Variable((TIME,), "f8", "residual of the stopping rule"),
    "step_status": Variable((TIME,), "i1", "how each step ended"),
    "solve_time": Variable((), "f8", "time spent in the solver", "s"),
    "setting": Variable((), "i2", "which of the settings of the store made the cell; 0: the study's own"),
    "status": Variable((), "i1", "how the cell ended"),
}

# What each of `store.diagnostics` adds.
DIAGNOSTICS: dict[str, dict[str, Variable]] = {
    "optimality": {
        "optimality_gap": Variable((TIME,), "f8", "duality gap of the step, divided by tau"),
        "gap_certified": Variable((TIME,), "f8", "1 where the gap bounds the distance to the minimum, 0 where it need not"),
        "optimality_spread": Variable((TIME,), "f8", "deviation of potential / tau + dE/du from a constant on the support"),
        "hamilton_jacobi": Variable((TIME,), "f8", "residual of the Hamilton-Jacobi equation, divided by tau"),
        "velocity_residual": Variable(
            (TIME,), "f8", "distance of flux / density from the potential's gradient, divided by tau"
        ),
        "continuity_residual": Variable((TIME,), "f8", "residual of the continuity equation, relative to the mass"),
    }
}
# Everything that a store may hold along ``cell``.
ALL_VARIABLES = {**VARIABLES, **{name: v for added in DIAGNOSTICS.values() for name, v in added.items()}}

# The fields that `store.density` decides about.
FIELDS = ("density", "truth")
# What a member that is not good keeps where people read: what it was given, and how its solves went. Everything else of it
# is a number that nobody vouches for.
KEPT = (
    *("truth", "data", "data_exact", "truth_outside"),
    *("iterations", "residual", "step_status", "solve_time", "setting", "status"),
)
# Not the same in two runs of the same study.
NOT_REPRODUCIBLE = ("solve_time",)


def stored_variables(study: StudyConfig) -> dict[str, Variable]:
    """The variables that a study stores."""
    kept = study.store.density
    added = {name: v for diagnostic in study.store.diagnostics for name, v in DIAGNOSTICS[diagnostic].items()}
    return added | {
        name: Variable((X,), v.dtype, v.long_name, v.units) if name in FIELDS and kept == "final" else v
        for name, v in VARIABLES.items()
        if not (name in FIELDS and kept == "none")
    }


def flags(words: list[str]) -> dict[str, Any]:
    """CF attributes of integers that stand for words."""
    return {"flag_values": list(range(len(words))), "flag_meanings": " ".join(words)}
