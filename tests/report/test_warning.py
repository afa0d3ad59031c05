"""Which warnings stand above the numbers of a study, for cells whose numbers are known."""

import pytest

from dajko.report.figures import plot_study
from dajko.report.page import write_page
from dajko.report.warning import warning_table

STEP = "t = 5\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10⁻⁴"  # the first after the initial time
MEMBERS = {"sweep": {"theta": [1e-4, 1e-3]}, "ensemble": {"members": 2, "seed": 1}}


def bad(**numbers):
    """The first member of the larger theta is bad."""
    return lambda study, member: numbers if study.theta == 1e-3 and member == 0 else {}


@pytest.mark.parametrize(
    ("numbers", "kind", "short"),
    [
        (
            {"mode": 0.05},
            "odd_even",
            f"the density alternates from point to point in 1 of 4 cells (25\xa0%), by up to 5\xa0%, first at {STEP}, "
            "at the final time in all of these",
        ),
        (
            {"width": 2.5},
            "resolution",
            "the density is narrower than 4 mesh widths in 1 of 4 cells (25\xa0%), 2.5 at the least, first at t = 0, "
            "at the final time in all of these",
        ),
        (
            {"outside": 0.2},
            "truth_outside",
            f"the truth leaves the domain in 1 of 4 cells (25\xa0%), from {STEP} on, with up to 20\xa0% of its mass",
        ),
    ],
)
def test_numbers_that_are_to_be_doubted(results_of, numbers, kind, short):
    table = warning_table(results_of(MEMBERS, bad(**numbers)))
    assert table[["kind", "cells", "short"]].values.tolist() == [[kind, 1, short]]
    assert table.meaning[0].endswith(".")


def test_nothing_is_said_of_good_numbers(results_of):
    assert warning_table(results_of(MEMBERS, lambda *_: {"mode": 0.009, "width": 4.1, "outside": 9e-4})).empty


def test_they_stand_in_the_box_on_top_of_the_page(make_study, tmp_path):
    plot_study(make_study(tmp_path / "doubtful", MEMBERS, bad(mode=0.05, width=2.5, outside=0.2)))
    page = write_page(tmp_path).read_text()
    box = page[page.index('class="warning"') :]
    box = box[: box.index("</div>")]
    for words in ("alternates from point to point", "narrower than 4 mesh widths", "truth leaves the domain"):
        assert words in box
