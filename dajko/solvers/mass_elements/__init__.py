"""JKO steps for the quantile function: Newton steps for the ends of mass elements. See :mod:`dajko.solvers.quantile`."""
