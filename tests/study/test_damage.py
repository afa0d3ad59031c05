"""Whatever happens to a store is noticed, or harmless: no wrong number without a word, and one run mends what can be."""

import shutil
import warnings

import numpy as np
import pytest
from click.testing import CliRunner

from dajko.cli import main
from dajko.errors import DamageWarning, InputError
from dajko.report import figures
from dajko.status import Status
from dajko.study.commands.run import run_study
from dajko.study.store.cells import CellStore
from dajko.study.store.labelled import open_study, open_summary, write_summary
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, SUMMARY
from soak.stores import HARMLESS, LOST, WRITTEN_ONCE

STUDY = {"sweep": {"theta": [1e-3, 1e-2, 0.1]}, "ensemble.members": 4, "block": 4}


# --- what is said and done ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory, computed):
    """A complete study, and its numbers."""
    directory = tmp_path_factory.mktemp("whole") / "one"
    computed(directory, STUDY)
    write_summary(directory)
    return directory, numbers(open_study(directory))


@pytest.fixture
def directory(tmp_path, whole, monkeypatch):
    """A copy of it, to be damaged. What figures read is read; drawing takes its time elsewhere."""
    monkeypatch.setattr(figures, "make_figures", lambda results, tables: results.fields(1, [0, 1, 2, 3]) and {})
    return shutil.copytree(whole[0], tmp_path / "one")


def numbers(view):
    return view.drop_vars(list(NOT_REPRODUCIBLE)).drop_attrs().load(scheduler="synchronous")


def said(*arguments):
    """Exit code and sentences of a command; a traceback is none."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def looked_at(directory):
    """The numbers that a reader gets, or None, and what is said to him."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = numbers(open_study(directory))
        except InputError as error:
            return None, str(error)
    assert {w.category for w in caught} <= {DamageWarning}
    return found, " ".join(str(w.message) for w in caught)


def assert_right(found, reference):
    """Every number of a cell that counts as computed is right."""
    assert found.status.shape == reference.status.shape
    done = (found.status != Status.PENDING).values
    for name in found.variables:
        left, right = found[name], reference[name]
        if left.dims[: done.ndim] == found.status.dims and name in found.data_vars:
            assert np.array_equal(left.values[done], right.values[done], equal_nan=left.dtype.kind == "f"), name
        else:
            assert left.equals(right), name


def assert_mended(directory, study, reference, address):
    run_study(study, directory, address, quiet=True)
    assert numbers(open_study(directory)).identical(reference)
    code, text = said("status", directory, "--verify")
    assert (code, text) == (0, "one: 12 members: 12 converged\n  no chunk is damaged\n")
    assert not CellStore(directory / CELLS).mended
    assert (
        numbers(open_summary(directory))
        .drop_vars("solve_time", errors="ignore")
        .equals(reference.drop_vars(["density", "truth", "x"]))
    )


@pytest.mark.parametrize("kind", LOST)
def test_results(directory, whole, tiny, address, kind):
    reference = whole[1]
    LOST[kind](directory / CELLS)
    code, text = said("status", directory, "--verify")
    assert code == 2
    assert any(word in text for word in ("cells are damaged", "still to be computed"))
    found, sentence = looked_at(directory)
    assert "\n" not in sentence
    assert "`dajko run`" in sentence or (found is not None and (found.status == Status.PENDING).any())
    if found is not None:
        assert_right(found, reference)
    shutil.rmtree(directory / SUMMARY)
    code, text = said("report", directory)
    if code == 0:  # as if these cells had not been computed, or what is damaged is not shown
        assert_right(numbers(open_summary(directory)), reference)
        assert said("status", directory)[0] == 2
    else:
        assert "`dajko run`" in text
    assert_mended(directory, tiny(STUDY), reference, address)


@pytest.mark.parametrize("kind", WRITTEN_ONCE)
def test_what_is_written_once(directory, whole, tiny, address, kind):
    WRITTEN_ONCE[kind](directory / CELLS)
    for arguments in (("status", directory, "--verify"), ("status", directory)):
        code, text = said(*arguments)
        assert code == 2
        assert "`dajko run` writes it again" in text
    found, sentence = looked_at(directory)
    assert found is not None
    assert found.identical(whole[1])
    assert "`dajko run` writes it again" in sentence
    shutil.rmtree(directory / SUMMARY)
    code, text = said("report", directory)
    assert code == 1
    assert "`dajko run` writes it again" in text
    assert_mended(directory, tiny(STUDY), whole[1], address)


@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless(directory, whole, tiny, address, kind):
    HARMLESS[kind](directory / CELLS)
    said("status", directory, "--verify")
    found, _ = looked_at(directory)
    assert_right(found, whole[1])
    assert said("report", directory)[0] == 0
    assert_right(numbers(open_summary(directory)), whole[1])
    assert_mended(directory, tiny(STUDY), whole[1], address)


def test_at_least_thirty_kinds():
    assert len(LOST) + len(WRITTEN_ONCE) + len(HARMLESS) > 70
