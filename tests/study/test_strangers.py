"""Stores of strangers and of other versions: nothing of them is run, followed or obeyed, and their numbers are shown."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import yaml
import zarr
from click.testing import CliRunner

from dajko.cli import main
from dajko.errors import DamageWarning, InputError
from dajko.report import figures
from dajko.report.page import write_page
from dajko.report.reading import read_results
from dajko.study.commands.run import run_study
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.checksums import chunk_path, damaged
from dajko.study.store.labelled import open_study, write_summary
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import CELLS, CHECKSUM, SUMMARY

STUDY = {"sweep": {"theta": [1e-3, 1e-2, 0.1]}, "ensemble.members": 4, "block": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory, computed):
    directory = tmp_path_factory.mktemp("made") / "one"
    computed(directory, STUDY)
    return directory


@pytest.fixture
def directory(tmp_path, made, monkeypatch):
    """A copy of a complete study; what figures read is read, but not drawn."""
    monkeypatch.setattr(figures, "make_figures", lambda results, tables: results.fields(1, [0, 1]) and {})
    return shutil.copytree(made, tmp_path / "results" / "one")


@pytest.fixture
def older(directory):
    """The same store as an older dajko has written it: no checksums of cells, no spare copies, no chunks of zeros."""
    shutil.rmtree(directory / CELLS / CHECKSUM)
    for name in ("member", "seed_key", "order"):
        store = zarr.open_group(directory / CELLS, mode="r+")
        if not np.asarray(store[name][...]).any():
            shutil.rmtree(directory / CELLS / name / "c")
    return directory


def said(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.output


def numbers(view):
    return view.drop_vars("solve_time").drop_attrs().load(scheduler="synchronous")


# --- an ingredient that this version does not know ------------------------------------------------------------------------


@pytest.fixture
def foreign(directory):
    """A store whose configuration names an energy of somebody else, and one of our own beside it."""
    shutil.copytree(directory, directory.with_name("two"))
    for name in ("one", "two"):
        write_summary(directory.with_name(name))
    store = CellStore(directory / CELLS)
    text = str(store.root.attrs["configuration"]).replace("porous_medium", "no_such_energy")
    store.root.attrs["configuration"] = text
    return directory


def test_numbers_need_no_ingredient(foreign, made):
    with pytest.warns(DamageWarning, match="its model names something that this dajko does not know; its numbers are shown"):
        view = open_study(foreign)
    assert numbers(view).identical(numbers(open_study(made)))
    study = CellStore(foreign / CELLS).study
    assert study.model_dump()["model"]["energy"]["internal"] == {"kind": "no_such_energy", "m": 2.0}
    assert study.model.energy.internal.kind == "no_such_energy"
    assert study.grid.nx == 10


def test_all_studies_are_drawn(foreign):
    code, text = said("report", foreign.parent)
    lines = [line for line in text.splitlines() if line.startswith("dajko: ")]
    assert code == 0
    (line,) = lines
    assert line.endswith("its model names something that this dajko does not know; its numbers are shown as they are")
    page = (foreign.parent / "report.html").read_text()
    assert "no_such_energy" in page
    assert page.count("<section") == page.count("</section>")
    for name in ("one", "two"):
        assert (foreign.with_name(name) / "tables" / "errors.csv").exists()
    code, text = said("status", foreign.parent)
    assert code == 0
    assert "its model names something that this dajko does not know" in text


def test_it_is_not_computed(foreign, tiny):
    before = {p: p.read_bytes() for p in foreign.rglob("*") if p.is_file() and "locks" not in str(p)}
    with pytest.raises(InputError, match=r"does not fit the study: model\.energy\.internal\.kind"):
        run_study(tiny(STUDY), foreign, 1, quiet=True)
    for command in (("reproduce", foreign, "1"), ("retry", foreign)):
        code, text = said(*command)
        assert code == 2
        assert "compute it with the dajko that made it" in text
    assert {p: p.read_bytes() for p in foreign.rglob("*") if p.is_file() and "locks" not in str(p)} == before


def test_metadata_edited_by_hand(directory):
    """As in the case that found this: the configuration is known from its spare copy."""
    shutil.copytree(directory, directory.with_name("two"))
    for path in directory.glob("*.zarr/zarr.json"):
        path.write_text(path.read_text().replace("porous_medium", "no_such_energy"))
    code, text = said("report", directory.parent)
    assert code == 1
    assert "zarr.json: is not as it was written" in text
    assert text.splitlines()[-1].endswith("report.html")


# --- links, devices, pipes, signs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["figures", "tables", SUMMARY, "figures/error_theta.svg", "tables/errors.csv"])
def test_nothing_is_written_through_links(directory, tmp_path, name):
    outside, link = tmp_path / "outside", directory / name
    outside.mkdir()
    link.parent.mkdir(exist_ok=True)
    target = outside if "." not in name or name == SUMMARY else outside / "file"
    if target is not outside:
        target.write_text("mine")
    link.symlink_to(target)
    code, text = said("report", directory)
    if name == SUMMARY:  # replaced
        assert code == 0
    else:
        assert code == 2
        assert f"{link}: is a link, and nothing is written through links; take it away" in text
    assert [p.read_text() for p in outside.iterdir()] == ([] if target is outside else ["mine"])


def test_the_page_replaces_a_link(directory, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (directory.parent / "report.html").symlink_to(tmp_path / "mine")
    assert said("report", directory.parent)[0] == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (directory.parent / "report.html").is_symlink()


@pytest.mark.parametrize("name", ["run.log", "failures.jsonl", "performance.json", ".locks", "slabs"])
def test_a_run_does_not_write_through_links(directory, tmp_path, tiny, name):
    (tmp_path / "mine").write_text("mine")
    shutil.rmtree(directory / name, ignore_errors=True)
    (directory / name).symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match=r"is a link|cannot be written"):
        run_study(tiny(STUDY), directory, 1, quiet=True)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_block_is_not_written_through_a_link(tmp_path, make, tiny, address):
    """Folders of chunks that are not computed yet may be links, too."""
    store = prepare(tmp_path / "one", make(STUDY))
    (tmp_path / "outside").mkdir()
    (store.path / "density" / "c").mkdir()
    (store.path / "density" / "c" / "1").symlink_to(tmp_path / "outside")
    run_study(tiny(STUDY), tmp_path / "one", address, quiet=True)
    assert list((tmp_path / "outside").iterdir()) == []
    assert list(damaged(CellStore(store.path))) == []


def test_the_store_itself_may_be_on_another_disk(directory, tmp_path, tiny, address):
    (directory / CELLS).rename(tmp_path / "elsewhere")
    (directory / CELLS).symlink_to(tmp_path / "elsewhere")
    (chunk_path(CellStore(directory / CELLS), Block(0, 4, 8), "mass")).unlink()
    assert run_study(tiny(STUDY), directory, address, quiet=True).computed == 4


def test_signs_that_a_terminal_obeys(directory):
    store, evil = CellStore(directory / CELLS), "\x1b]0;owned\x07<script>alert(1)</script>"
    store.root.attrs.update({"study": evil, "code": evil, "package_versions": json.dumps({evil: evil}), "git_commit": evil})
    for command in (("status", directory, "--verify"), ("report", directory), ("status", directory, "--json")):
        code, text = said(*command)
        assert code == 0
        assert "\x1b" not in text
        assert "\x07" not in text
    page = (directory.parent / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    code, text = said("status", directory.with_name("\x1b[31m"))
    assert (code, "\x1b" in text) == (2, False)


def test_a_store_that_lies_as_a_whole(directory):
    """Metadata, checksums and spare copies that agree, and still are not what dajko writes, are refused by a sentence."""
    store = CellStore(directory / CELLS)
    path = directory / CELLS / "mass" / "zarr.json"
    content = json.loads(path.read_text())
    content["shape"] = [12, 10**15]
    path.write_text(json.dumps(content))
    from dajko.study.store.records import write_spare

    write_spare(store.path, store.names)
    for command in (("status", directory, "--verify"), ("report", directory)):
        code, text = said(*command)
        assert code == 2
        assert "mass/zarr.json: has the shape [12, 1000000000000000]" in text
        assert len(text.splitlines()) == 1
    with pytest.raises(InputError, match="which no study has"):
        open_study(directory)


def test_spare_copies_that_are_none(directory):
    """Names that point elsewhere, or content that unpacks to more than there is, are not looked at."""
    spare = directory / CELLS / CHECKSUM / "spare.zip"
    with zipfile.ZipFile(spare, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil", b"x")
        archive.writestr("zarr.json", bytes(10**7))
    code, text = said("status", directory)
    assert code == 2
    assert "the spare copies are damaged" in text
    assert not (directory.parent / "evil").exists()


def test_a_store_that_may_not_be_read(directory):
    if os.geteuid() == 0:
        path = directory / CELLS / "mass" / "c" / "1" / "0"
        path.unlink()
        path.mkdir()  # root may read everything, but no folder as a file
    else:
        (directory / CELLS / "mass" / "c" / "1" / "0").chmod(0)
    code, text = said("status", directory, "--verify")
    assert code == 2
    assert "Traceback" not in text


# --- stores of an older dajko ---------------------------------------------------------------------------------------------


def test_an_older_store_works(older, made, tiny, address):
    assert numbers(open_study(older)).identical(numbers(open_study(made)))
    assert said("status", older) == (0, "one: 12 members: 12 converged\n")
    code, text = said("status", older, "--verify")
    assert code == 0
    assert "made by an older dajko, so that not all can be verified; `dajko migrate " in text
    chunk_path(CellStore(older / CELLS), Block(0, 4, 8), "mass").unlink()
    assert said("status", older)[0] == 2
    assert run_study(tiny(STUDY), older, address, quiet=True).computed == 4
    assert numbers(open_study(older)).identical(numbers(open_study(made)))


def test_migrate_adds_what_is_missing(older, made):
    assert said("migrate", older) == (0, f"{older}: checksums and spare copies added\n")
    assert said("migrate", older) == (0, f"{older}: is up to date\n")
    assert said("status", older, "--verify") == (0, "one: 12 members: 12 converged\n  no chunk is damaged\n")
    left, right = CellStore(older / CELLS), CellStore(made / CELLS)
    assert np.array_equal(left.array(0, CHECKSUM)[:], right.array(0, CHECKSUM)[:])
    assert left.spare.keys == right.spare.keys or left.spare.there


def test_widening_adds_what_is_missing(older, make, again):
    store = prepare(older, make({**STUDY, "ensemble.members": 5}))
    assert again(store) == 3
    assert list(damaged(store)) == []
    assert store.has_checksums(0)
    assert store.spare.there


def test_a_coordinate_of_an_older_store_follows_from_its_study(older, made, tiny, address):
    """A lost chunk of theta made one theta of three, and nobody was told."""
    (older / CELLS / "theta" / "c" / "0").unlink()
    for command in (("report", older),):
        code, text = said(*command)
        assert code == 2
        assert "two of its cells claim one place" in text
    with pytest.raises(InputError, match="two of its cells claim one place"):
        open_study(older)
    assert run_study(tiny(STUDY), older, address, quiet=True).computed == 0
    assert numbers(open_study(older)).identical(numbers(open_study(made)))


def test_metadata_of_an_older_store_are_not_made_up(older):
    (older / CELLS / "zarr.json").unlink()
    code, text = said("status", older)
    assert code == 2
    assert "zarr.json: is not there, and there is no spare copy of it; the numbers of the cells are; " in text
    assert "take cells.zarr from a backup, or say --recompute" in text


def test_recompute_sets_a_damaged_store_aside(older, make):
    (older / CELLS / "zarr.json").unlink()
    with pytest.raises(InputError, match="or say --recompute"):
        prepare(older, make(STUDY, "one"))
    store = prepare(older, make(STUDY, "one"), recompute=True)
    assert store.counts()["pending"] == 12
    (kept,) = (older / "previous").iterdir()
    assert (kept / CELLS / "mass").is_dir()


# --- the report says it ---------------------------------------------------------------------------------------------------


def test_the_page_says_what_is_damaged(directory):
    chunk_path(CellStore(directory / CELLS), Block(0, 4, 8), "error_l1").unlink()
    code, text = said("report", directory)
    assert code == 1
    sentence = "4 of 12 cells are damaged (error_l1 missing or not as written) and left out"
    assert sentence in text
    assert sentence in (directory.parent / "report.html").read_text()
    assert read_results(directory).counts[0] == 4


def test_a_damage_that_only_reading_finds_stays_in_the_summary(directory):
    path = chunk_path(CellStore(directory / CELLS), Block(0, 4, 8), "error_l1")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    write_summary(directory)
    code, text = said("report", directory)
    assert code == 1
    assert "4 of 12 cells are damaged (error_l1 missing or not as written) and left out" in text


def test_figures_of_a_study_that_has_lost_densities(made, tmp_path):
    """They show what is left; here nothing is left of the second theta."""
    directory = shutil.copytree(made, tmp_path / "one")
    chunk_path(CellStore(directory / CELLS), Block(0, 4, 8), "density").unlink()
    code, text = said("report", directory)
    assert code == 1
    assert "4 of 12 cells are damaged (density missing or not as written) and left out" in text
    assert (directory / "figures" / "densities.svg").exists()
    found = read_results(directory).fields(1, [0, 1])
    assert np.isnan(found.density).all()
    assert not np.isnan(read_results(directory).fields(2, [0, 1]).density).any()


def test_a_good_summary_is_kept_when_cells_are_damaged(directory):
    write_summary(directory)
    before = numbers(open_study(directory)).error_l1
    path = chunk_path(CellStore(directory / CELLS), Block(0, 4, 8), "error_l1")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said("report", directory)
    assert read_results(directory).counts[1] == 12
    assert np.array_equal(np.sort(read_results(directory).nodes[0].error_l1.values.ravel()), np.sort(before.values.ravel()))


def test_one_study_that_cannot_be_drawn(directory):
    shutil.copytree(directory, directory.with_name("two"))
    for path in (directory / CELLS / "zarr.json", directory / CELLS / CHECKSUM / "spare.zip"):
        path.write_text("x")
    code, text = said("report", directory.parent)
    assert code == 1
    assert "one/cells.zarr/zarr.json: is not JSON" in text
    assert text.splitlines()[-1].endswith("report.html")
    assert "two" in (directory.parent / "report.html").read_text()
    assert yaml.safe_load(json.dumps(said("status", directory.parent, "--json")[0])) == 2
    assert "zarr.json: is not JSON" in write_page(directory.parent, ["one"]).read_text()
