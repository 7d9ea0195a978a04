"""
What runs a network: one module for each library, one chooser by the ending of the model's file.

A back-end is called with a network's inputs and returns its fused image; what the predictor has
to know of the network stands in its ``network``. See :class:`.interface.Backend`.
"""
