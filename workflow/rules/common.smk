import hashlib
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from dajko.errors import InputError
from dajko.report.captions import captions
from dajko.study.design.identity import words_of
from dajko.study.config.parse import parse_studies, refuse_misreadable
from dajko.study.design.sources import sources

try:
    for file in workflow.configfiles:
        refuse_misreadable(Path(file))  # Snakemake reads YAML 1.1, dajko 1.2
    STUDIES = parse_studies(config)
except InputError as error:
    raise WorkflowError(f"the configuration is not valid:\n{error}") from None

RESULTS = Path(STUDIES.results)


wildcard_constraints:
    study="|".join(STUDIES.studies),
    slab=r"\d+",


def slabs(wildcards):
    """What the jobs of a study leave behind, one file for each slab."""
    count = STUDIES.studies[wildcards.study].slabs
    return [
        RESULTS / wildcards.study / "slabs" / f"{slab}.done.json"
        for slab in range(count)
    ]


def digest(name, text):
    """What a job depends on in a few letters: Snakemake prints it when it has changed, and jobs run again."""
    return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def study_digest(wildcards):
    """Stands for the resolved configuration of a study, which its job reads from the configuration itself.

    The cluster is not in it: where members are computed changes nothing of what comes out.
    """
    return digest("study", STUDIES.studies[wildcards.study].model_dump_json())


def study_code(wildcards):
    """Stands for the code that decides the numbers of a study's cells."""
    words = words_of(STUDIES.studies[wildcards.study])
    return digest("numerical code", sources().code(words))


def study_captions(wildcards):
    """The captions of a study's figures, as an object that Snakemake does not compare: words draw no figure anew."""
    return SimpleNamespace(**captions(STUDIES.studies[wildcards.study]))
