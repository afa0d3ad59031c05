"""Draw the figures of a study and write its tables."""

from pathlib import Path

from dajko.report.figures import plot_study

if __name__ == "__main__":
    plot_study(Path(snakemake.output.figures).absolute().parent)  # noqa: F821
