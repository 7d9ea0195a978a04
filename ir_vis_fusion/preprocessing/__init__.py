"""
From bytes to what a network takes, and back to colour.

``encodings`` decodes messages and files (numpy and OpenCV only), ``thermal`` turns counts into
[0, 1] and watches for shutter calibrations, ``color`` splits luma off and puts it back.
"""
