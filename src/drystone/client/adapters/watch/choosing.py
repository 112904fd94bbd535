# SPDX-License-Identifier: Apache-2.0
"""Choosing: the best watcher that this system has."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from drystone.client.adapters.watch.elsewhere import ElsewhereWatcher
from drystone.client.adapters.watch.native import NativeWatcher
from drystone.client.adapters.watch.polling import ALL, PollingWatcher
from drystone.client.ports import Hints, Watcher


def make_watcher(root: Path, tell: Callable[[str], None]) -> Watcher:
    """Returns a watcher of a synced folder.

    Args:
        root: Absolute path of the folder.
        tell: Is told in words, once, if it cannot be watched wholly.
    """
    if sys.platform == "linux":
        return _WithFallback(NativeWatcher(root, tell), root, tell)
    return ElsewhereWatcher(root, tell)


class _WithFallback:
    """Watches as long as that works; then scans at intervals stand in."""

    def __init__(self, watcher: Watcher, root: Path, tell: Callable[[str], None]) -> None:
        self._watcher = watcher
        self._root = root
        self._tell = tell

    @property
    def is_whole(self) -> bool:
        return self._watcher.is_whole

    async def hints(self) -> AsyncIterator[Hints]:
        try:
            async for hints in self._watcher.hints():
                yield hints
        except OSError as error:
            self._tell(
                f"{self._root} cannot be watched ({error.strerror}): it is scanned at intervals. "
                "If too many programs watch: sudo sysctl fs.inotify.max_user_instances=1024 (to "
                "keep it, put that setting into a file in /etc/sysctl.d), then drystone stop, "
                "drystone start."
            )
        yield ALL
        async for hints in PollingWatcher().hints():
            yield hints
