"""Judge the paper's figures and claims, and write the page about them: the script of the rule."""

import sys
from pathlib import Path
from typing import Any

from dajko.errors import InputError


def main(snakemake: Any) -> None:
    """The package of this script is not installed: it is found beside the workflow that Snakemake runs."""
    sys.path.insert(0, str(Path(snakemake.scriptdir).parents[1]))
    from reproductions.data_driven_gradient_flows.page import write_paper

    try:
        write_paper(Path(snakemake.output.page).absolute().parent, [Path(f) for f in snakemake.params.files])
    except InputError as error:
        Path(snakemake.log[0]).write_text(f"{error}\n")
        sys.exit(f"dajko: {error}")


if __name__ == "__main__":
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
