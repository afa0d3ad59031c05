"""The pages in a real browser: nothing is blank, every figure is there, and nothing complains.

Needs Chromium; `make test` says so and goes on without where there is none.
"""

import base64
import html
import json
import os
import re
import shutil
import subprocess

import pytest

from dajko.report.figures import plot_study
from dajko.report.overview import MOST_BYTES, write_overview
from dajko.report.page import write_page

pytestmark = pytest.mark.browser

# Tells what a page holds, once all of it is loaded.
PROBE = """<script>
addEventListener("load", () => {
  const found = {
    text: document.body.innerText,
    height: document.body.scrollHeight,
    widths: [...document.images].map(image => image.complete ? image.naturalWidth : 0),
    figures: document.querySelectorAll("figure").length,
    tables: document.querySelectorAll("table tr").length
  };
  (parent === window ? show : data => parent.postMessage(data, "*"))(found);
});
function show(found) { document.documentElement.dataset.found = JSON.stringify(found); }
</script>"""
# Shows a page as Snakemake's report does: from a data URL.
FRAME = """<!doctype html><html><body><iframe width=1200 height=800 src="data:text/html;base64,{page}"></iframe>
<script>addEventListener("message", e => {{ document.documentElement.dataset.found = JSON.stringify(e.data); }});</script>
</body></html>"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """What a page says of itself in headless Chromium, and what its console says."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)))
    folder = tmp_path_factory.mktemp("browser")

    def opened(text):
        page = folder / "page.html"
        page.write_text(text, encoding="utf-8")
        options = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
        options += ["--disable-component-update", f"--user-data-dir={folder / 'profile'}", "--window-size=1280,1000"]
        options += ["--no-sandbox"] * (os.getuid() == 0)  # which Chromium's own needs
        logged = ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
        done = subprocess.run(
            [program, *options, *logged], capture_output=True, text=True, timeout=120, check=True, encoding="utf-8"
        )
        console = re.findall(r".*CONSOLE.*", done.stderr)
        found = re.search(r'<html[^>]* data-found="([^"]*)"', done.stdout)
        assert found, f"the page did not load: {done.stdout[:300]} {console}"
        return json.loads(html.unescape(found[1])), console

    return opened


@pytest.fixture(scope="module")
def results(make_study, tmp_path_factory):
    """A study with figures over theta, and one over mesh sizes."""
    folder = tmp_path_factory.mktemp("results")
    sweep = {"theta": [1e-4, 1e-3, 1e-2], "noise.level": [0.0, 0.1]}
    plot_study(make_study(folder / "theta", {"sweep": sweep, "limits": True, "ensemble": {"members": 2, "seed": 1}}))
    plot_study(
        make_study(folder / "mesh", {"theta": 1.0, "sweep": {"grid.nx": [8, 16, 32]}, "report": {"reference": "finest"}})
    )
    return folder


def probed(text):
    return text.replace("</body>", f"{PROBE}</body>")


def check(found, console, studies):
    assert console == []
    assert found["height"] > 1000
    assert found["figures"] == len(found["widths"]) > 0
    assert min(found["widths"]) > 100
    assert found["tables"] > 5
    for study in studies:
        assert study in found["text"]


def test_the_page(browser, results):
    found, console = browser(probed(write_page(results).read_text(encoding="utf-8")))
    check(found, console, ["theta", "mesh"])


def test_the_page_inside_of_snakemakes_report(browser, results):
    text = probed(write_overview(results, ["theta", "mesh"]).read_text(encoding="utf-8"))
    found, console = browser(FRAME.format(page=base64.b64encode(text.encode()).decode()))
    check(found, console, ["theta", "mesh"])


def test_the_largest_page_inside_of_snakemakes_report(browser, results):
    """As large as it may be, which a browser still opens."""
    text = probed(write_overview(results, ["theta", "mesh"]).read_text(encoding="utf-8"))
    text = text.replace("</body>", f"<!--{'x' * (MOST_BYTES - len(text.encode()) - 8)}--></body>")
    found, console = browser(FRAME.format(page=base64.b64encode(text.encode()).decode()))
    check(found, console, ["theta", "mesh"])
