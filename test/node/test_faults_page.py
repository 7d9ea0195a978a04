"""The page of faults is what the tests of the other files saw, run before this one."""

import os

from fault_page import PAGE, page, running, starting
from fault_rows import FAULTS
import pytest

# Like those files, or it runs in another process than they.
pytestmark = pytest.mark.ros

# Of the files test_faults_own_*: rows of the first table, rows of the second.
OTHERS = 13
STARTS = 9


def test_the_page_tells_what_was_seen() -> None:
    if len(running) != len(FAULTS) + OTHERS or len(starting) != STARTS:
        pytest.skip(f'{len(running)} + {len(starting)} rows were run and passed, not all')
    if os.environ.get('FAULTS') == 'write':
        PAGE.write_text(page())

    assert PAGE.read_text() == page(), 'run with FAULTS=write and look at what changed'
