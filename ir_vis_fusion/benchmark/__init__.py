"""
What a frame costs on this machine, stage by stage, beside what the machine could do.

``path`` times the code that the node runs, ``roofline`` the machine, ``cost`` counts what a
network has to do, ``report`` makes tables and plots of the results.
"""
