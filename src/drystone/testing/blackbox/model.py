# SPDX-License-Identifier: Apache-2.0
"""Model: what people may see of one path that several devices keep in step.

There is one stable value, and on each device a local one that is *fresh* (it is the stable one,
or was made from it) or not, and *clean* (the service knows it) or not. People cause three things:

    read   on a device      the local value is seen
    write  on a device      the local value is replaced: no longer clean; a deletion writes None
    rest                    everything is fresh and clean; the stable value and all conflicted
                            copies are seen, on every device

The service, when it likes and unseen, does three:

    up     from a device    a value that is not clean becomes the stable one, if it was fresh;
                            if not, it becomes a conflicted copy, unless it is the stable value
                            (same content: no conflict), a deletion (an edit survives it), or
                            the stable value is a deletion (then it takes its place)
    down   to a device      the stable value replaces a clean one that is not fresh
    skip   on a device      a value that is not clean, but the one with which the device was
                            clean last, counts as never written

So what was seen is right if there is some order of unseen moves that explains it. The model keeps
all states that the service can be in, and is left without any when it did what it must not: lost a
value, brought one back, or made a copy that nobody asked for.

Source: Hughes, Pierce, Arts, Norell, "Mysteries of Dropbox: property-based testing of a
distributed synchronization service", ICST 2016. That model has no ``skip``: nobody there writes
what was there before.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Value = bytes | None
"""What a file holds; None: there is none."""


class Unexplained(AssertionError):
    """No order of unseen moves explains what was seen."""


class Local(NamedTuple):
    """What a device has.

    Attributes:
        value: What is read there.
        is_fresh: Nothing newer is stable than what this is or was made from.
        is_clean: The service has seen it.
        base: The value with which it was clean last.
    """

    value: Value
    is_fresh: bool
    is_clean: bool
    base: Value


class State(NamedTuple):
    """What the service may have in mind.

    Attributes:
        stable: The value that will win.
        copies: What was kept beside it.
        locals: By the number of a device.
    """

    stable: Value
    copies: frozenset[bytes]
    locals: tuple[Local, ...]


class Model:
    """All states that a service may be in after what was seen of it.

    Args:
        devices_count: How many devices there are.
        value: What all of them hold at the beginning.

    Attributes:
        states: Never empty.
        is_broken: Something was seen that cannot be.
    """

    def __init__(self, devices_count: int, value: Value = None) -> None:
        self.states = {State(value, frozenset(), (_clean(value),) * devices_count)}
        self.is_broken = False

    def read(self, device: int, value: Value) -> None:
        """Somebody has read something.

        Raises:
            Unexplained: It cannot have been there.
        """
        self._see(
            lambda state: state.locals[device].value == value,
            f"device {device} has {show_value(value)}",
        )

    def write(self, device: int, value: Value, before: Value) -> None:
        """Somebody has replaced, at one moment, what was there before by something else.

        Raises:
            Unexplained: That cannot have been there.
        """
        self._see(
            lambda state: state.locals[device].value == before,
            f"device {device} had {show_value(before)}",
        )
        if value != before:
            self.states = {
                _with(state, device, _written(state, device, value)) for state in self.states
            }

    def rest(self, value: Value, copies: Iterable[bytes]) -> None:
        """Everything is quiet, and every device has this value and these copies.

        Raises:
            Unexplained: It cannot have come to that.
        """
        kept = frozenset(copies)
        self._see(
            lambda state: _is_quiet(state) and state[:2] == (value, kept),
            f"at rest all have {_show(value, kept)}",
        )

    def _see(self, is_so: Callable[[State], bool], what: str) -> None:
        states = close(self.states)
        kept = {state for state in states if is_so(state)}
        if not kept:
            self.is_broken = True
            quiet = "; ".join(sorted(map(show_state, filter(_is_quiet, states))))
            raise Unexplained(f"{what}, and at rest there may only be: {quiet}")
        self.states = kept


def close(states: Iterable[State]) -> set[State]:
    """Returns these states and all to which unseen moves lead from them."""
    found = set(states)
    fresh = list(found)
    while fresh:
        state = fresh.pop()
        for device, local in enumerate(state.locals):
            for after in _moves(state, device, local):
                if after not in found:
                    found.add(after)
                    fresh.append(after)
    return found


def show_value(value: Value) -> str:
    """Returns a value for a message."""
    return "nothing" if value is None else repr(value[:20].decode(errors="replace"))


def show_state(state: State) -> str:
    """Returns what there is in a state for a message."""
    return _show(state.stable, state.copies)


def _moves(state: State, device: int, local: Local) -> Iterator[State]:
    if not local.is_clean:
        yield _up(state, device, local)
        if local.value == local.base:
            yield _with(state, device, local._replace(is_clean=True))
    elif not local.is_fresh:
        yield _with(state, device, _clean(state.stable))


def _up(state: State, device: int, local: Local) -> State:
    value, is_fresh = local.value, local.is_fresh
    if is_fresh or state.stable is None:
        others = (local._replace(is_fresh=False) for local in state.locals)
        after = State(value, state.copies, tuple(others))
        return _with(after, device, _clean(value))
    if value is None or value == state.stable:
        return _with(state, device, _clean(value, is_fresh=value == state.stable))
    after = state._replace(copies=state.copies | {value})
    return _with(after, device, _clean(value, is_fresh=False))


def _clean(value: Value, *, is_fresh: bool = True) -> Local:
    return Local(value, is_fresh, is_clean=True, base=value)


def _written(state: State, device: int, value: Value) -> Local:
    return state.locals[device]._replace(value=value, is_clean=False)


def _with(state: State, device: int, local: Local) -> State:
    before = state.locals
    return state._replace(locals=(*before[:device], local, *before[device + 1 :]))


def _is_quiet(state: State) -> bool:
    return all(local.is_fresh and local.is_clean for local in state.locals)


def _show(value: Value, copies: Iterable[bytes]) -> str:
    beside = ", ".join(sorted(map(show_value, copies)))
    return f"{show_value(value)} beside {beside}" if beside else show_value(value)
