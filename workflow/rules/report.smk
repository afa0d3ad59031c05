rule plot:
    input:
        RESULTS / "{study}" / "study.done.json",
    output:
        figures=report(
            directory(RESULTS / "{study}" / "figures"),
            patterns=["{name}.svg"],
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{study}",
            labels={"study": "{study}", "figure": "{name}"},
        ),
        tables=report(
            directory(RESULTS / "{study}" / "tables"),
            patterns=["{name}.csv"],
            caption="../report/table.rst",
            category="Tables",
            subcategory="{study}",
            labels={"study": "{study}", "table": "{name}"},
        ),
    log:
        RESULTS / "{study}" / "logs" / "plot.log",
    conda:
        "../envs/dajko.yaml"
    params:
        captions=study_captions,
    message:
        "Drawing figures and tables of {wildcards.study}"
    script:
        "../scripts/plot_study.py"


rule page:
    input:
        expand(RESULTS / "{study}" / "figures", study=STUDIES.studies),
        expand(RESULTS / "{study}" / "tables", study=STUDIES.studies),
    output:
        # Every study that is in the results directory, also those of others: the page belongs to the directory.
        page=RESULTS / "report.html",
        # The studies of this configuration, as much of them as opens inside of Snakemake's report.
        overview=report(
            RESULTS / "overview.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "overview.html"},
        ),
    log:
        RESULTS / "logs" / "page.log",
    conda:
        "../envs/dajko.yaml"
    params:
        studies=digest("studies", " ".join(STUDIES.studies)),
    message:
        "Writing the report"
    script:
        "../scripts/write_page.py"
