# SPDX-License-Identifier: Apache-2.0
"""``python -m drystone`` is the ``drystone`` command."""

from drystone.cli.app import main

if __name__ == "__main__":
    main()
