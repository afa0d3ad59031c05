"""One cell as numbers: truth, data, daJKO flow, errors."""
