"""Judge the paper's figures and claims, and write the page about them."""

import sys
from pathlib import Path

from dajko.errors import InputError
from dajko.paper.page import write_paper

if __name__ == "__main__":
    try:
        write_paper(Path(snakemake.output.page).absolute().parent, [Path(f) for f in snakemake.params.files])  # noqa: F821
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")  # noqa: F821
        sys.exit(f"dajko: {error}")
