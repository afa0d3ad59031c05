"""Published figures and claims beside what dajko computes: a folder for each paper. Not part of the package."""
