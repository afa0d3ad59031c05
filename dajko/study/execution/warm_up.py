"""Compiled kernels before the work begins: each host compiles each kernel once, or finds it in its cache."""

from __future__ import annotations

import itertools
import logging
import time
from collections import defaultdict

import numpy as np
from distributed import Client

from dajko._numba import cache_directory
from dajko.data.data_term import DataTerm
from dajko.energy.energy import Energy
from dajko.energy.internal.entropy import Entropy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.flow import Flow, trajectories
from dajko.grid import Grid
from dajko.solvers.interior_point import InteriorPoint
from dajko.solvers.pd3o import PD3O
from dajko.study.execution.workers import Attendance

# Seconds between two lines that say how far the compiler is.
_SAY = 15.0
# What takes longest comes first.
PARTS = ("lanes", "alone", "pd3o")


def warm_up(part: str) -> None:
    """Compile ``interior_point`` for flows alone or in lanes, or ``pd3o``, or load it from the cache."""
    grid = Grid(0.0, 1.0, 4, 1)
    solver = PD3O(max_iterations=1) if part == "pd3o" else InteriorPoint()
    for internal in (PorousMedium(2.0), Entropy()):
        flow = Flow(np.ones(grid.points), Energy(internal), grid, 1e-3, 1, DataTerm(["mean"], [0.5], 1.0), solver)
        trajectories([flow] * (8 if part == "lanes" else 1))


def cold_sentence() -> str:
    """That kernels will have to be compiled here, and where they are kept; empty if there are some."""
    place = cache_directory()
    if any(place.rglob("*.nbi")):
        return ""
    return f"compiling kernels, which takes minutes, once on each host and for each version; they are kept in {place}"


def warm(client: Client, there: Attendance, logger: logging.Logger) -> None:
    """Share the parts out over the workers of each host, and wait until the caches hold them.

    What a worker that dies should have compiled is not waited for: others compile it when they need it.

    Parameters
    ----------
    client : Client
    there : Attendance
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
        for part, address in zip(PARTS, itertools.cycle(workers), strict=False):
            compiling.append((client.submit(warm_up, part, workers=[address], pure=False), address))
    while any(address in there.addresses and not future.done() for future, address in compiling):
        time.sleep(0.05)
        if time.monotonic() - said > _SAY:
            said, done = time.monotonic(), sum(future.done() for future, _ in compiling)
            words = (done, len(compiling), said - started)
            logger.info("compiling kernels: %d of %d groups are ready after %.0f s", *words)
