"""The house as docs/architecture.md shows it: which rooms import which, how large a module is, and what is said of names."""

import importlib.util
import re
from dataclasses import fields, is_dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dajko
from dajko.distribution import Distribution
from dajko.energy.interaction import Interaction
from dajko.energy.internal import InternalEnergy
from dajko.energy.potential import Potential
from dajko.observation import Observation
from dajko.profile import Profile
from dajko.solvers import Solver

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
house = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(house)

FAMILIES = [InternalEnergy, Potential, Interaction, Profile, Observation, Distribution, Solver]
MOST_LINES = 400


def test_imports_go_down():
    above = {
        f"{room} imports {other}"
        for room, others in house.arrows().items()
        for other in others
        if house.ROOMS.index(other) < house.ROOMS.index(room)
    }
    assert not above


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: house.imports(path, only_at_once=True) - {module} for module, path in house.modules().items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_module_is_long():
    long = {m: n for m, path in house.modules().items() if (n := len(path.read_text().splitlines())) > MOST_LINES}
    assert not long


def test_the_page_shows_the_rooms_as_they_are():
    assert house.PAGE.read_text() == house.page(), "python docs/architecture.py writes the page anew"


def test_certificates_know_no_solver():
    assert "solvers" not in house.arrows()["certify"]


@pytest.mark.parametrize("name", sorted(set(dajko.__all__) - {"__version__"}))
def test_public_names_are_documented(name):
    """With a sentence, and what goes in."""
    documented = getattr(dajko, name)
    text = documented.__doc__ or ""
    assert text.strip()
    if is_dataclass(documented) and fields(documented):
        assert re.search("Parameters\n *-----|Attributes\n *-----", text), name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_each_kind_has_a_file_of_its_own(family):
    kinds = family.kinds()
    assert kinds
    for kind, found in kinds.items():
        assert found.__module__ == f"{family.__module__}.{kind}"
        assert found.__doc__
        assert found.label


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_every_kind_is_public(family):
    """But those of given values, for which Python has arrays."""
    for kind, found in family.kinds().items():
        if kind != "values" and family is not Distribution:
            assert getattr(dajko, found.__name__) is found
