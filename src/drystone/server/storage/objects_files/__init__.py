# SPDX-License-Identifier: Apache-2.0
"""Objects as plain files below one folder of the local disk.

An object is written under a temporary name, made durable, renamed into place, and the folder
that now names it is made durable too; only then does ``put`` return. So a reader sees all of
an object or nothing, and what was acknowledged survives power loss. What a crash leaves under
temporary names is removed when the store is opened again.

Several processes may open one folder at once; each removes only what the dead left behind.
"""

from drystone.server.storage.objects_files.files import FileObjects
from drystone.server.storage.objects_files.linking import FileLinks

__all__ = ["FileLinks", "FileObjects"]
