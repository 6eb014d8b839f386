# SPDX-License-Identifier: Apache-2.0
"""The worker: newest items first, in batches, in its own thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping

import pytest

from lseg_ros.core.worker import Worker, WorkerStopped

TIMEOUT_S = 10.0


class GatedProcess:
    """Processes items when the test allows it, and records them."""

    def __init__(self) -> None:
        self.started: queue.Queue[object] = queue.Queue()
        self.finished: list[object] = []
        self.errors: queue.Queue[Exception] = queue.Queue()
        self._permits = threading.Semaphore(0)

    def __call__(self, batch: Mapping[str, object]) -> None:
        item = batch[''] if set(batch) == {''} else dict(batch)
        self.started.put(item)
        assert self._permits.acquire(timeout=TIMEOUT_S)
        if isinstance(item, Exception):
            raise item
        self.finished.append(item)

    def let_one_finish(self) -> None:
        self._permits.release()


@pytest.fixture
def process():
    return GatedProcess()


@pytest.fixture
def worker(process):
    worker = Worker(process, process.errors.put)
    yield worker
    for _ in range(10):
        process.let_one_finish()
    worker.stop()


def test_newest_item_wins_and_older_ones_count_as_dropped(worker, process):
    assert worker.offer('first')
    assert process.started.get(timeout=TIMEOUT_S) == 'first'
    assert [worker.offer(item) for item in ('second', 'third', 'fourth')] == [True, False, False]
    process.let_one_finish()
    assert process.started.get(timeout=TIMEOUT_S) == 'fourth'


def test_batch_has_the_newest_item_of_every_key_that_has_one(worker, process):
    worker.offer('in progress')
    process.started.get(timeout=TIMEOUT_S)
    for item, key in (('old', 'fast'), ('only', 'slow'), ('new', 'fast')):
        worker.offer(item, key)
    process.let_one_finish()
    assert process.started.get(timeout=TIMEOUT_S) == {'fast': 'new', 'slow': 'only'}


@pytest.mark.parametrize('seconds', [3600.0, float('inf')])
def test_no_batch_starts_before_its_period_has_passed_and_it_takes_the_newest(worker, process, seconds):
    worker.offer('first')
    process.started.get(timeout=TIMEOUT_S)
    process.let_one_finish()
    worker.set_period(seconds)
    for item in ('second', 'third'):
        worker.offer(item)
    assert worker.submit(lambda: list(process.finished)).result(TIMEOUT_S) == ['first']
    assert process.started.empty()
    worker.set_period(0.0)
    assert process.started.get(timeout=TIMEOUT_S) == 'third'


def test_exception_is_reported_and_the_next_item_is_processed(worker, process):
    worker.offer(ValueError('broken image'))
    process.let_one_finish()
    assert str(process.errors.get(timeout=TIMEOUT_S)) == 'broken image'
    worker.offer('good')
    process.let_one_finish()
    assert worker.submit(lambda: process.finished).result(TIMEOUT_S) == ['good']


def test_thread_survives_an_error_handler_that_fails(process):
    def broken_handler(error: Exception) -> None:
        raise RuntimeError('the handler is broken too')

    worker = Worker(process, broken_handler)
    worker.offer(ValueError('broken image'))
    process.let_one_finish()
    assert process.started.get(timeout=TIMEOUT_S)
    worker.offer('good')
    process.let_one_finish()
    assert process.started.get(timeout=TIMEOUT_S) == 'good'
    worker.stop()


def test_submitted_call_waits_for_the_item_in_progress(worker, process):
    worker.offer('in progress')
    process.started.get(timeout=TIMEOUT_S)
    releasing = threading.Thread(target=process.let_one_finish)
    releasing.start()
    assert worker.submit(lambda: list(process.finished)).result(TIMEOUT_S) == ['in progress']
    releasing.join(TIMEOUT_S)


def test_submitted_call_raises_what_the_function_raises(worker):
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(TIMEOUT_S)


def test_submitted_call_runs_in_the_thread_that_processes():
    names: queue.Queue[str] = queue.Queue()
    naming = Worker(lambda item: names.put(threading.current_thread().name), names.put, 'named')
    naming.offer('item')
    assert names.get(timeout=TIMEOUT_S) == 'named'
    assert naming.submit(lambda: threading.current_thread().name).result(TIMEOUT_S) == 'named'
    naming.stop()


def test_discard_empties_the_slots(worker, process):
    worker.offer('in progress')
    process.started.get(timeout=TIMEOUT_S)
    worker.offer('waiting')
    worker.discard()
    process.let_one_finish()
    assert worker.submit(lambda: list(process.finished)).result(TIMEOUT_S) == ['in progress']
    assert process.started.empty()


def test_stop_finishes_the_item_in_progress_and_leaves_the_waiting_one(process):
    worker = Worker(process, process.errors.put)
    worker.offer('in progress')
    process.started.get(timeout=TIMEOUT_S)
    worker.offer('waiting')
    process.let_one_finish()
    worker.stop()
    assert process.finished[0] == 'in progress'


def test_submit_after_stop_is_refused(process):
    worker = Worker(process, process.errors.put)
    worker.stop()
    with pytest.raises(WorkerStopped):
        worker.submit(lambda: None)


def test_calls_that_wait_when_the_worker_stops_are_refused(process):
    worker = Worker(process, process.errors.put)
    worker.offer('in progress')
    process.started.get(timeout=TIMEOUT_S)
    outcomes: queue.Queue[object] = queue.Queue()
    ran = threading.Event()

    def ask() -> None:
        try:
            outcomes.put(worker.submit(ran.set).result(TIMEOUT_S))
        except WorkerStopped as error:
            outcomes.put(error)

    asking = threading.Thread(target=ask)
    asking.start()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    process.let_one_finish()
    outcome = outcomes.get(timeout=TIMEOUT_S)
    # The call either ran before the stop or was refused; it never hangs.
    assert ran.is_set() or isinstance(outcome, WorkerStopped)
    stopping.join(TIMEOUT_S)
    asking.join(TIMEOUT_S)
    assert not stopping.is_alive()
