"""The page itself: every claim with its place, commands, verdict and figures, as Markdown and as HTML."""

import re
from html.parser import HTMLParser

import pytest
from filelock import FileLock

from reproductions.data_driven_gradient_flows.claims import SECTIONS
from reproductions.data_driven_gradient_flows.finding import Verdict
from reproductions.data_driven_gradient_flows.page import anchor, write_paper


@pytest.fixture(scope="module")
def pages(results, files):
    # Other processes that test this module draw the same figures.
    with FileLock(f"{results}.page.lock"):
        return [page.read_text() for page in write_paper(results, files)]


def test_every_claim_has_a_place_commands_and_a_verdict(pages):
    markdown = pages[0]
    blocks = markdown.split("\n### ")[1:]
    assert len(blocks) == sum(len(claims) for _, claims in SECTIONS)
    verdicts = "|".join(v.value for v in Verdict)
    for block in blocks:
        title = block.splitlines()[0]
        assert re.search(rf"\*\*Verdict: ({verdicts})\.\*\* Run: `dajko run \S+\.yaml [a-z0-9 -]+`", block), title
        assert f"(#{anchor(title)})" in markdown
        assert re.search(r"\*\*[^*]+\.\*\* \S", block), title
        assert re.search(r"\d", block.split("Run:")[1]), title


def test_tables_are_whole_and_nothing_is_left_empty(pages):
    markdown = pages[0]
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", markdown)
    for head, rule in re.findall(r"^(\|.*\|)\n(\|[-|]+\|)$", markdown, re.MULTILINE):
        assert head.replace(r"\|", "").count("|") == rule.count("|")


def test_figures_are_there_in_both_pages(pages, results):
    markdown, html = pages
    linked = set(re.findall(r"\]\((figures/paper/[a-z0-9-]+\.png)\)", markdown))
    assert {f"figures/paper/figure-5-{i}.png" for i in range(1, 8)} < linked
    for path in linked:
        assert (results / path).stat().st_size > 10_000
    assert html.count("data:image/png;base64,") == len(linked)


class Tags(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_is_well_formed_and_needs_no_other_file(pages):
    parser = Tags()
    parser.feed(pages[1])
    assert parser.open == []
    assert not re.search(r'(src|href)="(?!data:|#)', pages[1])
