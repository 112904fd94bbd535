# SPDX-License-Identifier: Apache-2.0
"""Timeline: an event loop whose time is virtual and whose threads are callbacks.

Nothing waits: when there is nothing to do now, it is the moment of the next timer. Callbacks
run in the order in which they were handed over, as asyncio promises; what may happen in any
order in the real world, because threads or networks do it, is delayed by chance instead.
"""

import asyncio
import heapq
import itertools
from asyncio.events import _set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, copy_context
from random import Random
from typing import Any, Final, Self, TypeVar, TypeVarTuple, Unpack

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_DRAINED_MAX: Final = 20_000
_HOP_S: Final = 0.0004
"""Mean of how long a job waits for a thread."""


class Standstill(AssertionError):
    """Somebody waits for what will never happen: there is no timer and nothing to do."""


class Endless(AssertionError):
    """More has happened than any such world needs: something goes round in a circle."""


class Killed(BaseException):
    """The process in which this ran is no more. Nobody in it may notice, let alone handle it."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies."""

    number: int

    def __new__(cls, *_: object, loop: "Timeline", **__: object) -> Self:
        # Here, because a task is put into a set before its making is at an end.
        task = super().__new__(cls)
        task.number = next(loop.numbers)
        return task

    def __hash__(self) -> int:
        return self.number


class _Call:
    """A callback that waits for its turn: as much of a handle as its users need, and cheap,
    because a world makes thousands of them.
    """

    __slots__ = ("_when_s", "args", "callback", "context")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        when_s: float = 0.0,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self._when_s = when_s

    def cancel(self) -> None:
        """Leaves it out when its time comes."""
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        """Tells whether it is left out."""
        return self.callback is None

    def when(self) -> float:
        """Returns the moment of a timer."""
        return self._when_s


class _Lane:
    """The threads of one executor: so many jobs at once, the others in a row."""

    __slots__ = ("busy_count", "owner", "waiting", "width")

    def __init__(self, owner: object) -> None:
        # Kept, so that no other executor is found under its id.
        self.owner = owner
        self.width: int = getattr(owner, "_max_workers", 2)
        self.busy_count = 0
        self.waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()


class Timeline(asyncio.BaseEventLoop):
    """See the module. One per world.

    Args:
        chance: How long threads take to begin.
        callbacks_max: After so many callbacks ``Endless`` is raised.

    Attributes:
        troubles: What nobody has handled: contexts as for ``call_exception_handler``.
    """

    def __init__(self, chance: Random, callbacks_max: int = 300_000) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.troubles: list[dict[str, Any]] = []
        self.callbacks_count = 0
        self._callbacks_max = callbacks_max
        self._chance = chance.random
        self._now_s = 0.0
        self._ready: deque[_Call] = deque()
        self._timers: list[tuple[float, int, _Call]] = []
        self._timers_count = itertools.count()
        self._lanes: dict[int, _Lane] = {}
        self._context = copy_context()
        self._is_closed = False

    # --- running -----------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Runs a coroutine to its end."""
        _set_running_loop(self)
        try:
            task = asyncio.ensure_future(future, loop=self)
            while not task.done():
                self._turn()
            return task.result()
        finally:
            _set_running_loop(None)

    def drain(self) -> None:
        """Lets those come to their end who were told to, and forgets the rest."""
        self._callbacks_max = self.callbacks_count + _DRAINED_MAX
        _set_running_loop(self)
        try:
            with suppress(Endless):
                while self._ready or self._timers:
                    self._turn()
        finally:
            _set_running_loop(None)
            self.close()

    def spend(self, seconds: float) -> None:
        """Lets time pass in the middle of a callback."""
        self._now_s += seconds

    def _turn(self) -> None:
        """Does what is to be done now, or goes on to when something is."""
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise Standstill("everybody waits, and nothing will happen")
            self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        count = len(ready)
        self.callbacks_count += count
        if self.callbacks_count > self._callbacks_max:
            raise Endless(f"{self.callbacks_count:,} callbacks until {self._now_s:.0f} s")
        take = ready.popleft
        for _ in range(count):
            call = take()
            callback = call.callback
            if callback is None:
                continue
            try:
                call.context.run(callback, *call.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  as loops do
                message = f"exception in callback {callback!r}"
                self.call_exception_handler({"message": message, "exception": error})

    # --- what asyncio asks of a loop -----------------------------------------------------------

    def time(self) -> float:
        """Returns the virtual seconds since the beginning."""
        return self._now_s

    # As in production: never. A type is called faster than a method, and every future asks.
    get_debug = bool

    def is_running(self) -> bool:
        """Returns True."""
        return True

    def is_closed(self) -> bool:
        """Returns whether the world has ended."""
        return self._is_closed

    def close(self) -> None:
        """Forgets all that was to be done."""
        self._is_closed = True
        self._ready.clear()
        self._timers.clear()

    def call_soon(  # type: ignore[override]  # as much of a handle as is needed
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Call:
        """Runs a callback after those that wait now."""
        call = _Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_soon_threadsafe(  # type: ignore[override]  # as much of a handle as is needed
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Call:
        """As ``call_soon``: there is only one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]  # as much of a handle as is needed
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Call:
        """Runs a callback so many virtual seconds from now."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as much of a handle as is needed
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> _Call:
        """Runs a callback at a moment; two of one moment in the order of these calls."""
        call = _Call(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._timers_count), call))
        return call

    def create_future(self) -> asyncio.Future[Any]:
        """Returns a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, R] | Generator[Any, None, R],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[R]:
        """Returns a task of this loop."""
        return _Task(coro, loop=self, name="task", context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., R], *args: Any
    ) -> asyncio.Future[R]:
        """Runs a job in one piece a moment from now: when one of the executor's threads would
        be free, and a little later, by chance.
        """
        lane = self._lanes.get(id(executor))
        if lane is None:
            lane = self._lanes[id(executor)] = _Lane(executor)
        future = self.create_future()
        lane.waiting.append(((lambda: func(*args)) if args else func, future))
        if lane.busy_count < lane.width:
            self._begin(lane)
        return future

    def _begin(self, lane: _Lane) -> None:
        lane.busy_count += 1
        job, future = lane.waiting.popleft()
        when_s = self._now_s + _HOP_S * 2 * self._chance()
        call = _Call(self._carry_out, (lane, job, future), self._context, when_s)
        heapq.heappush(self._timers, (when_s, next(self._timers_count), call))

    def _carry_out(self, lane: _Lane, job: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        if not future.cancelled():
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001  it is the waiter's
                if not future.cancelled():
                    future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)
        lane.busy_count -= 1
        if lane.waiting:
            self._begin(lane)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keeps what nobody has handled."""
        self.troubles.append(context)
