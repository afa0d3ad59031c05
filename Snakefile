# The workflow lives in workflow/; this lets plain `snakemake` find it.
include: "workflow/Snakefile"
