"""Training of the networks; not installed. Run as ``python3 -m training RECIPE``."""
