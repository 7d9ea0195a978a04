"""``python3 -m ir_vis_fusion`` is ``ivf``."""

import sys

from ir_vis_fusion.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
