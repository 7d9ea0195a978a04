"""
From bytes to what a network takes, and back to colour.

``encodings`` decodes messages and files (numpy and OpenCV only). ``front_end`` makes of a thermal
frame what may be fused: ``telemetry`` cuts rows off that are no picture, ``sample`` counts a few
pixels for all who ask, ``ffc`` watches for shutter calibrations, ``units`` knows what numbers
mean, ``thermal`` turns them into [0, 1] and ``equalization`` bends the curve. ``side_products``
are temperatures and hot regions; ``color`` splits luma off and puts it back.
"""
