# SPDX-License-Identifier: Apache-2.0
"""What is asked: the ``drystone`` command.

Each command parses its arguments, asks the server or the client at its door (the composition
roots and the control socket), prints what came back and leaves with a stable exit code. Nothing is
decided here. Commands import what they need when they run, so that ``drystone --help`` is quick.
"""
