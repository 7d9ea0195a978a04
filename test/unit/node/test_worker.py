"""The mailbox of one: the newest item wins, what it replaces is counted."""

import threading

from ir_vis_fusion.node.worker import Worker

TIMEOUT_S = 10


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
