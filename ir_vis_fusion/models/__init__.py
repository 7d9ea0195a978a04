"""Fusion networks: one a file, found by name in :mod:`ir_vis_fusion.models.registry`."""
