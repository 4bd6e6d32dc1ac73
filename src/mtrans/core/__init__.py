"""The vocabulary of the project: records, settings, errors, registry, axes. Needs no torch."""
