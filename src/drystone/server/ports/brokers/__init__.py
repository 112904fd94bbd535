# SPDX-License-Identifier: Apache-2.0
"""What servers of messages do for workers: carry rings, publish journals, keep pages."""
