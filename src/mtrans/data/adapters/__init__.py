"""One short file for each named data set."""
