# SPDX-License-Identifier: Apache-2.0
"""Backups: points in time of a whole server, in a folder or an object store, and back again.

    drystone-backup                        tells what this is, and of which format
    packs/ab/…  arriving/…                 objects as in the server's store, shared by all backups
    backups/20261121T201055Z/database/…    the metadata, as a SQLite database in compressed pieces
    backups/20261121T201055Z/objects/…     which objects belong to it
    backups/20261121T201055Z/files/…       the server's keys and settings
    backups/20261121T201055Z/manifest      what closes it, written last: checksums of all that

Without its manifest a backup is none. The next one into the same place copies only packs that are
not there yet. docs/formats/backup.md tells the bytes.
"""
