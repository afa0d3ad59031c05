"""Compiled kernels before the work begins: each host compiles each kernel once, or finds it in its cache."""

from __future__ import annotations

import itertools
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from distributed import Client

from dajko._numba import cache_directory
from dajko.data.data_term import DataTerm
from dajko.energy.energy import Energy
from dajko.energy.internal.entropy import Entropy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.flow import Flow, trajectories
from dajko.grid import Grid, Scheme
from dajko.solvers import Solver
from dajko.study.design.plan import Plan
from dajko.study.execution.workers import Attendance

# Seconds between two lines that say how far the compiler is.
_SAY = 15.0
# Flows that march together in lanes, and one that goes alone.
_TOGETHER, _ALONE = 8, 1
# Levels that stand for any number above one.
_SEVERAL = 2


class Part(NamedTuple):
    """Kernels that are compiled together: those of a solver on grids of a scheme with so many levels, for so many flows."""

    solver: Solver
    scheme: Scheme
    levels: int
    flows: int


def parts(plan: Plan) -> list[Part]:
    """What the cells of a plan need, but for solvers that are not dajko's; what takes longest comes first."""
    found: dict[tuple[str, str, int, int], Part] = {}
    for point in plan.sweep.distinct("solver", "grid")[0].tolist():
        study = plan.studies[point]
        # Finite volumes with one level have kernels of their own.
        levels = 1 if study.grid.scheme == "centred" or study.grid.nt == 1 else _SEVERAL
        chain = (study.solver, *study.solver.then)
        for solver in chain:
            if ":" not in type(solver).word() and study.grid.scheme in solver.schemes:
                for flows in (_TOGETHER, _ALONE) if solver is study.solver else (_ALONE,):
                    part = Part(solver, study.grid.scheme, levels, flows)
                    found.setdefault((solver.kind, *part[1:]), part)
    return sorted(found.values(), key=lambda part: -part.flows)


def warm_up(part: Part) -> None:
    """Compile the kernels of a part, or load them from the cache."""
    grid = Grid(0.0, 1.0, 4, part.levels, scheme=part.scheme)
    data = DataTerm(["mean"], [0.5], 1.0)
    for internal in (PorousMedium(2.0), Entropy()):
        trajectories([Flow(np.ones(grid.points), Energy(internal), grid, 1e-3, 1, data, part.solver)] * part.flows)


def cold_sentence() -> str:
    """That kernels will have to be compiled here, and where they are kept; empty if there are some."""
    place = cache_directory()
    if any(place.rglob("*.nbi")):
        return ""
    return f"compiling kernels, which takes minutes, once on each host and for each version; they are kept in {place}"


def warm(client: Client, there: Attendance, needed: Sequence[Part], logger: logging.Logger) -> None:
    """Share the parts out over the workers of each host, and wait until the caches hold them.

    What a worker that dies should have compiled is not waited for: others compile it when they need it.

    Parameters
    ----------
    client : Client
    there : Attendance
    needed : sequence of Part
    logger : logging.Logger
        Told that kernels are compiled, and how far that is.
    """
    if sentence := cold_sentence():
        logger.info(sentence)
    started = said = time.monotonic()
    hosts = defaultdict(list)
    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        hosts[worker["host"]].append(address)
    compiling = []
    for workers in hosts.values():
        for part, address in zip(needed, itertools.cycle(workers), strict=False):
            compiling.append((client.submit(warm_up, part, workers=[address], pure=False), address))
    while any(address in there.addresses and not future.done() for future, address in compiling):
        time.sleep(0.05)
        if time.monotonic() - said > _SAY:
            said, done = time.monotonic(), sum(future.done() for future, _ in compiling)
            words = (done, len(compiling), said - started)
            logger.info("compiling kernels: %d of %d groups are ready after %.0f s", *words)
