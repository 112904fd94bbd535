# SPDX-License-Identifier: Apache-2.0
"""Watching: hints that something below a folder may have changed. Claims, never truth.

On Linux inotify is asked directly, so that an idle client sleeps until something happens and
an edit is told within some ten milliseconds (a library that looks every 50 ms wakes an idle
machine 20 times a second). Elsewhere ``watchfiles`` does it; where nothing can, or not for all
folders, scans at intervals stand in, and that is said once.

What is not promised: that each change is told by itself, in order, or at all. Whoever listens
scans what is hinted at, and everything from time to time.
"""

from drystone.client.adapters.watch.choosing import make_watcher
from drystone.client.adapters.watch.polling import PollingWatcher

__all__ = ["PollingWatcher", "make_watcher"]
