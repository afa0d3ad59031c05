"""The page: complete in itself, honest about what is missing, and with the findings in words."""

import re
import shutil

import numpy as np
import pytest

from dajko.errors import InputError
from dajko.report.figures import plot_study
from dajko.report.page import write_page
from dajko.status import Status
from dajko.study.store.variables import CELLS

THETA = {"theta": [1e-4, 1e-3, 1e-2]}


def words(page):
    """The text of a page in one line."""
    text = re.sub(r"<(style|img)[^>]*>(.*?</style>)?", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    plain = str.maketrans("\N{NO-BREAK SPACE}\N{MINUS SIGN}\N{MULTIPLICATION SIGN}", " -x")
    return " ".join(re.sub(r"<[^>]+>", " ", text).translate(plain).split())


def bowl(study, member):
    theta = study.theta
    error = 0.5 if theta == np.inf else 0.4 if theta < 1e-5 else 0.1 + 0.05 * abs(np.log10(theta / 1e-3))
    return {"l1": error * (1.0 + 0.1 * member + study.noise.level)}


@pytest.fixture(scope="module")
def results(make_study, tmp_path_factory):
    """Two studies with figures, one of whose titles is hostile."""
    directory = tmp_path_factory.mktemp("results")
    ensemble = {"members": 3, "perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}}}
    make_study(
        directory / "theta",
        {
            "title": "<script>alert(1)</script> & θ",
            "sweep": {**THETA, "noise.level": [0.0, 0.1]},
            "limits": True,
            "ensemble": ensemble,
        },
        bowl,
    )
    make_study(
        directory / "tau",
        {"time": {"tau": 1e-3, "end": 4e-3}, "sweep": {"time.tau": [4e-3, 2e-3, 1e-3]}, "store": {"density": "none"}},
        lambda study, member: {"l1": study.time.tau, "l2": study.time.tau**2, "w2": 0.0},
    )
    for name in ("theta", "tau"):
        plot_study(directory / name)
    return directory


@pytest.fixture(scope="module")
def page(results):
    return write_page(results)


def test_the_page_needs_nothing_else(page, results):
    assert page == results / "report.html"
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    sources = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"']*)["']""", html)
    assert len([s for s in sources if s.startswith("data:image/svg+xml;base64,")]) == 5 + 3
    assert all(s.startswith(("data:image/", "#")) for s in sources)
    assert "<script" not in html
    assert "@import" not in html
    assert not re.search(r"url\(", html)
    assert html.count("<img ") == html.count("alt=") == html.count("<figcaption>") == 8


def test_every_study_is_there_with_title_counts_and_provenance(page):
    text = words(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; θ" in text
    assert "45 cells" not in text
    assert "30 cells: 30 converged." in text
    assert "3 cells: 3 converged." in text
    assert "study hash" in text
    assert "packages dajko" in text
    assert "perturbations:" in text


def test_the_findings_are_those_of_the_tables(page):
    text = words(page)
    error = "11 % of the mass, 10 % to 12 % for 90 % of the 3 members; model only: 55 %; data only: 44 %"
    best = f"the best θ is 10⁻³, for the time mean of the L¹ error ({error}) and at the final time ({error})."
    assert f"Noise level 0: {best}" in text
    orders = "compared with the truth, order 1.000 ± &lt;0.001 in L¹, 2.000 ± &lt;0.001 in L²"
    assert f"Error at the final time against time.tau: {orders}" in text
    assert "no order: it needs two step sizes with an error above 0" in text


def test_what_was_run_is_said_in_a_sentence(page):
    text = words(page)
    assert "The truth is a Barenblatt profile (m = 2), known in closed form." in text
    flow = "The flow takes 4 steps of τ = 5 x 10⁻⁴ on (-0.7, 0.7) with Nₓ = 12 and Nₜ = 2, centred differences"
    assert f"{flow}, by the solver pd3o with tolerance 10⁻³." in text
    assert (
        "Measured: mean and spread, at every step, with noise as swept, relative to the signal; weight θ as swept." in text
    )
    assert "Swept: theta (10⁻⁴, 10⁻³, 0.01 and both limits); noise.level (0, 0.1). 3 members at each point." in text
    assert "Members differ in model.initial.shift (normal, standard deviation 0.01)." in text


def test_the_page_is_written_the_same_again(page, results):
    first = page.read_bytes()
    assert write_page(results).read_bytes() == first


def test_studies_can_be_chosen_and_ordered(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    text = words(write_page(copy, ["tau"]))
    assert "time.tau" in text
    assert "noise.level" not in text


def test_an_unfinished_study_says_so(make_study, tmp_path):
    def cell(study, member):
        if study.theta == 1e-2:
            return None
        return {**bowl(study, member), "status": Status.FAILED if member == 1 else Status.CONVERGED}

    changes = {"sweep": THETA, "ensemble": {"members": 2}, "block": 1, "store": {"density": "none"}}
    plot_study(make_study(tmp_path / "half", changes, cell))
    text = words(write_page(tmp_path))
    assert "6 cells: 2 pending, 2 converged, 2 failed." in text
    assert "Unfinished: 4 of 6 cells have been computed." in text
    assert "No result in 2 of 6 cells (33 %)" in text
    assert "They are left out of all figures and statistics. The iterates stopped being finite numbers" in text
    assert "Left out: 1 of 2 members" in text


def test_a_study_in_which_everything_failed_has_a_page(make_study, tmp_path):
    plot_study(make_study(tmp_path / "failed", {"sweep": THETA}, lambda study, member: {"status": Status.NOT_CONVERGED}))
    text = words(write_page(tmp_path))
    assert "No cell has converged. There is nothing to show." in text
    assert "raise solver.max_iterations" in text


def test_a_study_that_was_not_plotted_says_so(make_study, tmp_path):
    directory = make_study(tmp_path / "bare", {}, lambda study, member: {})
    assert (directory / CELLS).exists()
    assert "There are no tables and figures of this study yet." in words(write_page(tmp_path))


def test_a_single_run_states_its_error(make_study, tmp_path):
    plot_study(make_study(tmp_path / "one", {"store": {"density": "none"}}, lambda study, member: {"l1": 0.123}))
    text = words(write_page(tmp_path))
    assert "The L¹ error, as a share of the mass, is 12 % in the time mean, and 12 % at the final time." in text


@pytest.mark.parametrize("studies", [None, []])
def test_no_study_is_an_error(tmp_path, studies):
    with pytest.raises(InputError, match="there is no study here; run one first"):
        write_page(tmp_path, studies)


def test_a_study_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="there is no study nothing here"):
        write_page(tmp_path, ["nothing"])
