"""Reports: from a study's store to statistics, figures, tables and one page."""
