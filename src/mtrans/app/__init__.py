"""What people touch: the command line and the Python front door. Thin; no heavy imports."""
