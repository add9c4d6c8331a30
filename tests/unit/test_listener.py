"""A user's listener is called by one thread, in order; it may block or fail, and harms nobody."""

from __future__ import annotations

import threading

from dfaas_lab.k6.log_callback import LogCallback


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dfaas-lab-live"]


def test_all_that_is_told_is_heard_in_order_by_one_thread() -> None:
    heard: list[tuple[str, int]] = []
    listener = LogCallback(lambda line: heard.append((line, threading.get_ident())))
    listener.emit("0")
    tellers = [threading.Thread(target=listener.emit, args=("x",)) for _ in range(8)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    listener.emit("1")
    listener.close()
    assert [line for line, _ in heard] == ["0", *"x" * 8, "1"]
    assert len({thread for _, thread in heard}) == 1
    assert not _threads()


def test_who_raised_is_called_no_more() -> None:
    heard: list[str] = []
    failed = threading.Event()

    def listen(line: str) -> None:
        heard.append(line)
        failed.set()
        raise ValueError(line)

    listener = LogCallback(listen)
    listener.emit("0")
    assert failed.wait(10)
    for _ in range(3):
        listener.emit("1")
    listener.close()
    assert heard == ["0"]
    assert not _threads()


def test_who_blocks_is_told_nothing_more_after_the_end() -> None:
    heard: list[str] = []
    called, free = threading.Event(), threading.Event()

    def listen(line: str) -> None:
        heard.append(line)
        called.set()
        free.wait(60)

    listener = LogCallback(listen)
    listener.emit("0")
    listener.emit("1")
    assert called.wait(10)
    listener.close()  # returns although nobody listens
    (thread,) = _threads()
    free.set()
    thread.join(10)
    assert heard == ["0"]
    assert not thread.is_alive()


def test_nothing_told_needs_no_thread() -> None:
    LogCallback(print).close()
    assert not _threads()
