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
        captions=CAPTIONS,
        report=lambda wildcards: STUDIES.studies[
            wildcards.study
        ].report.model_dump_json(),
    message:
        "Drawing figures and tables of {wildcards.study}"
    script:
        "../scripts/plot_study.py"


rule page:
    input:
        expand(RESULTS / "{study}" / "figures", study=STUDIES.studies),
        expand(RESULTS / "{study}" / "tables", study=STUDIES.studies),
    output:
        report(
            RESULTS / "report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "report.html"},
        ),
    log:
        RESULTS / "logs" / "page.log",
    conda:
        "../envs/dajko.yaml"
    params:
        studies=list(STUDIES.studies),
    message:
        "Writing the report"
    script:
        "../scripts/write_page.py"
