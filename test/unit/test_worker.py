"""The mailbox of one: the newest item wins, what it replaces is counted."""

import os
import sys
import threading

from ir_vis_fusion.worker import Worker
import pytest

TIMEOUT_S = 60


def test_every_item_is_handled_when_there_is_time() -> None:
    handled = []
    done = threading.Event()

    def handle(item: int) -> None:
        handled.append(item)
        done.set()

    worker = Worker(handle, 'test')
    for item in (1, 2, 3):
        done.clear()
        worker.put(item)
        assert done.wait(TIMEOUT_S)
    worker.close()

    assert handled == [1, 2, 3]
    assert worker.dropped == 0


def test_while_one_item_is_handled_the_newest_waits_and_the_others_are_dropped() -> None:
    handled = []
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def handle(item: int) -> None:
        begun.set()
        go_on.wait(TIMEOUT_S)
        handled.append(item)
        if item == 4:
            ended.set()

    worker = Worker(handle, 'test')
    worker.put(1)
    assert begun.wait(TIMEOUT_S)
    for item in (2, 3, 4):
        worker.put(item)
    go_on.set()
    assert ended.wait(TIMEOUT_S)
    worker.close()

    assert handled == [1, 4]
    assert worker.dropped == 2


def test_closing_finishes_the_item_under_way_and_drops_the_waiting_one() -> None:
    handled = []
    begun, go_on = threading.Event(), threading.Event()

    def handle(item: int) -> None:
        begun.set()
        go_on.wait(TIMEOUT_S)
        handled.append(item)

    worker = Worker(handle, 'test')
    worker.put(1)
    assert begun.wait(TIMEOUT_S)
    worker.put(2)
    closing = threading.Thread(target=worker.close)
    closing.start()
    worker.clear()
    go_on.set()
    closing.join(TIMEOUT_S)

    assert not closing.is_alive()
    assert handled == [1]


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='niceness of threads is Linux')
def test_a_nice_worker_leaves_the_others_as_they_are() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    found = []
    done = threading.Event()

    def handle(_item: int) -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()

    worker = Worker(handle, 'test', nice=3)
    worker.put(1)
    assert done.wait(TIMEOUT_S)
    worker.close()

    assert found == [min(own + 3, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
