# SPDX-License-Identifier: Apache-2.0
"""The demo of the main job on the engines that carry it past one machine.

``python -m drystone.testing.scaled [DIR [MIB]]`` starts a PostgreSQL, a store that speaks S3's
protocol and a Valkey on loopback, tells the whole demo on a server with two workers above them,
with packs going straight between devices and the store, and ends them all. Nothing stays behind.
MIB is the size of each of the demo's two large files.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import obstore
import psycopg
from obstore.store import S3Store

from drystone.cli.commands.demo import show
from drystone.cli.output import Output, count_of, format_bytes
from drystone.core.errors import DrystoneError
from drystone.core.limits import MIB
from drystone.testing.brokers.valkey import ValkeyServer
from drystone.testing.postgres import PostgresServer
from drystone.testing.stores.s3 import S3_CREDENTIALS, S3Server

LARGE_BYTES: Final = 64 * MIB

_FOLDER: Final = "demo"


def main(arguments: list[str]) -> int:
    """Shows the demo; returns 0 if both devices ended with the same tree."""
    directory = Path(arguments[0]) if arguments else None
    large_bytes = int(arguments[1]) * MIB if len(arguments) > 1 else LARGE_BYTES
    out = Output(as_json=False)
    try:
        with _engines() as (database, store, bucket, valkey):
            settings = {
                **S3_CREDENTIALS,
                "DRYSTONE_SERVER_DATABASE": database,
                "DRYSTONE_SERVER_OBJECTS": store.url(bucket, _FOLDER),
                "DRYSTONE_SERVER_TRANSFER": "direct",
                "DRYSTONE_SERVER_BELL": valkey.url(),
                "DRYSTONE_SERVER_CACHE": valkey.url(1),
                "DRYSTONE_SERVER_WORKERS": "2",
            }
            is_identical = show(directory, large_bytes, out, settings=settings)
            sys.stdout.write(_describe(database, store, bucket))
    except DrystoneError as error:
        sys.stderr.write(f"error: {error.message}\n{error.advice}\n")
        return 1
    return 0 if is_identical else 1


@contextmanager
def _engines() -> Iterator[tuple[str, S3Server, str, ValkeyServer]]:
    """Starts all three; ends them, and forgets what they kept, whatever happens."""
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="drystone-engines-") as name,
        # With PostgreSQL's own defaults: what it says is durable, is.
        PostgresServer(Path(name) / "postgres", settings=()) as postgres,
        S3Server(Path(name) / "s3") as store,
        ValkeyServer(Path(name) / "valkey") as valkey,
    ):
        database, bucket = postgres.make_database(), store.make_bucket()
        sys.stdout.write(
            f"PostgreSQL, an S3 server and Valkey on loopback, started in"
            f" {time.monotonic() - began_s:.1f} s. On them:\n"
        )
        sys.stdout.flush()
        yield database, store, bucket, valkey


def _describe(database: str, store: S3Server, bucket: str) -> str:
    """Tells what the engines hold at the end, as they tell it themselves."""
    place = S3Store(
        bucket,
        prefix=_FOLDER,
        endpoint=store.endpoint,
        region="us-east-1",
        access_key_id=S3_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_access_key=S3_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )
    sizes = [item["size"] for page in obstore.list(place) for item in page]
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM record").fetchone()
    assert row is not None
    return (
        f"In the store: {count_of(len(sizes), 'object')}, {format_bytes(sum(sizes))}."
        f" In PostgreSQL: {count_of(row[0], 'record')} of the journal.\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
