"""The cancellation side of a leg's scope; counts like `asyncio.timeout`. Knows nothing of telephony."""

import asyncio


class Scope:
    """Cancels the task inside it, once, and tells that cancellation from everybody else's when it is left."""

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._cancelled = False
        self._used = False

    def enter(self) -> None:
        """Begins the scope in the current task.

        Raises:
            RuntimeError: not in a task, or entered before.
        """
        task = asyncio.current_task()
        if task is None or self._used:
            raise RuntimeError("a leg's scope is entered once, by a task")
        self._used = True
        self._task = task
        self._cancelling = task.cancelling()

    def cancel(self) -> None:
        """Cancels the task inside; does nothing if there is none, or the second time.

        A task that finds out by itself is not cancelled: it is about to raise, and a cancellation would strike it
        only after it has left the scope.
        """
        if self._task is not None and not self._cancelled and self._task is not asyncio.current_task():
            self._cancelled = True
            self._task.cancel()

    def leave(self) -> bool:
        """Ends the scope. True if the task was cancelled by it, and by nobody else at the same time."""
        task, self._task = self._task, None
        return task is not None and self._cancelled and task.uncancel() <= self._cancelling
