"""Recipes: one file a result, each with its settings class and a ``train`` function."""
