# SPDX-License-Identifier: Apache-2.0
"""Objects in a cloud's store: S3 and what speaks its protocol, Azure Blob, Google Cloud Storage.

``cloud`` is the engine, over one library for all three; ``location`` reads the URL that the
settings give; ``trouble`` translates what the library raises.

What it does not promise: where a store has no conditional put (some that only speak S3's
protocol), two that put other bytes under one name at once are not told apart; names are of
contents, so that takes a damaged store.
"""

from drystone.server.storage.objects_cloud.cloud import CloudObjects
from drystone.server.storage.objects_cloud.location import StoreLocation, parse_location
from drystone.server.storage.objects_cloud.trouble import StoreUnusable

__all__ = ["CloudObjects", "StoreLocation", "StoreUnusable", "parse_location"]
