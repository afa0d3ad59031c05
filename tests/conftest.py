"""Settings of all tests."""

import signal

import numpy as np
import pytest
import yaml
from hypothesis import settings

# Numba compiles at the first call, which no deadline should count; the same examples on every run.
settings.register_profile("dajko", deadline=None, derandomize=True)
settings.load_profile("dajko")


# --- tiny studies: what tests/study, tests/test_cli.py and tests/workflow run ---------------------------------------------

_TINY = """
truth: {kind: exact, solution: {kind: barenblatt, m: 2.0}}
model:
  energy: {internal: {kind: porous_medium, m: 2.0}}
  initial: {kind: barenblatt, m: 2.0, shift: 0.1}
grid: {left: -0.7, right: 0.7, nx: 10, nt: 2}
time: {tau: 5.0e-4, steps: 3}
observations: {operators: [mean, spread]}
noise: {level: 0.1}
theta: 1.0e-3
solver: {kind: pd3o, tol: 1.0e-3, constraint_tolerance: 1.0e-3}
sweep: {theta: [1.0e-3, 1.0e-2]}
ensemble: {members: 3, seed: 7}
"""


@pytest.fixture(scope="session")
def tiny():
    """Makes the content of a study whose cells cost milliseconds, with changes by dotted key; None takes a key away."""

    def make(changes=None):
        study = yaml.safe_load(_TINY)
        for key, value in (changes or {}).items():
            *path, last = key.split(".")
            node = study
            for part in path:
                node = node.setdefault(part, {})
            if value is None:
                node.pop(last, None)
            else:
                node[last] = value
        return study

    return make


@pytest.fixture(scope="session")
def rewrite():
    """Writes other values of some variables into all blocks of a store, as if they had been computed."""

    def write(store, only=None, **values):
        for group in range(len(store.groups)) if only is None else [only]:
            for block in store.blocks(group):
                names, place = store.variables(group), slice(block.start, block.stop)
                row = {name: np.asarray(store.array(group, name)[place]) for name in names}
                shapes = {name: store.array(group, name).shape for name in values}
                row |= {name: np.broadcast_to(value, shapes[name])[place] for name, value in values.items()}
                store.write(block, row)

    return write


def pytest_configure():
    """Tests start programs that are ended by signals; in the background of a shell these would be ignored."""
    for name in ("SIGINT", "SIGHUP"):
        if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
