"""The primal-dual interior point method: Newton steps, linear algebra in lanes, steps that march together."""
