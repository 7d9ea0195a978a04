"""Folders, videos and bags of thermal and visible images as streams of pairs, and back."""
