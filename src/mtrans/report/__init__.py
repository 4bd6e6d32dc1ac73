"""A run folder -> one self-contained HTML file."""
