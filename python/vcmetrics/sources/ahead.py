"""One thread that reads ahead."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made by a thread while the caller works on this one.

    At most two exist at a time, beside the one the caller holds. An exception of the reader comes out where its item
    would have; a caller that stops early stops the reader after the item it is at.
    """
    ready: queue.Queue[tuple[str, object]] = queue.Queue(1)
    stop = threading.Event()

    def put(item: tuple[str, object]) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put(("item", item))
                if stop.is_set():
                    return
        except BaseException as error:  # the caller's thread raises it
            put(("error", error))
        else:
            put(("end", None))

    # in the caller's context, so that the memory budget in force is the same
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(read,), name="vcmetrics-reader", daemon=True)
    thread.start()
    try:
        while True:
            # a bare get() cannot be interrupted everywhere
            try:
                kind, item = ready.get(timeout=1.0)
            except queue.Empty:
                continue
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(item, BaseException)
                raise item
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
