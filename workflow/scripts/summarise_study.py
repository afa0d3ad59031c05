"""Write the summary of a study and the manifest that says it is complete."""

from pathlib import Path

from dajko.study.run import finish

if __name__ == "__main__":
    finish(Path(snakemake.output[0]).absolute().parent)  # noqa: F821
