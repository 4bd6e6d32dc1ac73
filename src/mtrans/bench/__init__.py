"""Benchmarks: what is compared runs side by side in one process, and a ratio comes out."""
