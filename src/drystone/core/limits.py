# SPDX-License-Identifier: Apache-2.0
"""Every bound of the system: its value, its unit, its reason, and what happens at it.

A number that bounds anything stands here and nowhere else. docs/reference/limits.md tells
the same for readers; a house test keeps the two alike.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# --- content -----------------------------------------------------------------------------

BLOCK_BYTES_MAX: Final = 4 * MIB
"""Largest block. Bounds the memory of every party; a larger one is refused unread."""

UNSELECTED_FOLDERS_MAX: Final = 1_000
"""Folders that one device may leave out: they are looked through before each plan."""

SMALL_FILE_BYTES_MAX: Final = 256 * KIB
"""A file up to this size is always one block, so that it costs one lookup and one frame."""

CHUNK_BYTES_MIN: Final = 256 * KIB
CHUNK_BYTES_AVERAGE: Final = 1 * MIB
CHUNK_BYTES_MAX: Final = BLOCK_BYTES_MAX
"""The content-defined chunker's bounds: part of the format, never changed in place."""

CONTENT_HASH_SLICE_BYTES: Final = 4 * MIB
"""Slice of the content hash. Source: Dropbox's description of ``content_hash``."""

MANIFEST_BYTES_MAX: Final = BLOCK_BYTES_MAX
"""A manifest travels and rests as a block, so it may not exceed one: about 110,000 chunks,
140 GB at the usual chunk size. A file that needs more is reported as too large."""

FILE_BYTES_MAX: Final = 1 << 40
"""Largest file accepted by the server: 1 TiB. The manifest's bound is met first."""

# --- packs and bundles ---------------------------------------------------------------------

PACK_BYTES_TARGET: Final = 16 * MIB
"""A pack is closed before it would grow beyond this: large enough that thousands of small
blocks share one flush, small enough that an upload's memory is a few of them."""

SIGNED_S_MAX: Final = 3_600
"""How long a signed request to an object store may be used: who finds one has little of it."""

BUNDLE_BLOCKS_MAX: Final = 16_384
"""Blocks in one bundle. More is refused as too large."""

BUNDLE_BYTES_MAX: Final = 512 * MIB
"""Bytes of one uploaded bundle. It is streamed: memory is bounded by blocks, not by this."""

ASK_BLOCKS_MAX: Final = 16_384
"""Block ids in one ask, fetch or outline. Half a megabyte of ids; more is refused."""

VERIFIED_BYTES_MAX: Final = 256 * MIB
"""Plain bytes of the blocks that one ask may have read back from the disk."""

OUTLINES_BYTES_MAX: Final = 16 * MIB
"""Outlines in one answer. Beyond it the rest are empty: their blocks are sent whole."""

UPLOADS_AT_ONCE_MAX: Final = 24
"""Bundles taken at the same time; others wait. One alone has up to three packs in memory; the
more there are, the smaller packs get, so that together they have some 300 MB at most."""

FETCHES_AT_ONCE_MAX: Final = 32
"""Bundles given at the same time, each with up to 16 MiB in memory, less if there are more than
eight; others wait."""

TURN_WAIT_S: Final = 30
"""Seconds that a bundle waits for its turn; then the caller is told to come again."""

BODY_STALL_S: Final = 60
"""Seconds in which a body must go on, to the server or from it. A caller that says or takes
nothing for so long is gone, and must not keep others waiting."""

# --- direct transfer -----------------------------------------------------------------------

DIRECT_BYTES_MIN: Final = 1 * MIB
"""Payloads of less than this together travel through the server: two more requests would cost more
than they save."""

DIRECT_PACK_BYTES: Final = 15 * MIB
"""A device closes a pack that it puts into the store itself before it would grow beyond this: two
of them travel side by side, and each is in memory."""

DIRECT_PART_BYTES: Final = 8 * MIB
"""A longer pack travels in parts of this length, side by side: what a broken connection costs.
Stores ask for 5 MiB at least."""

DIRECT_PACK_BYTES_MAX: Final = 16 * MIB + 64 * KIB
"""Largest pack that a device may put itself; whoever verifies it has it in memory."""

DIRECT_PACK_BLOCKS_MAX: Final = 16_384
"""Blocks in such a pack: what is told of them is 720 KB."""

DIRECT_RANGE_BYTES_MIN: Final = 256 * KIB
"""Blocks that lie together in fewer bytes are read through the server: a request to a store takes
as long as some hundred kilobytes."""

DIRECT_RANGE_BYTES_MAX: Final = 8 * MIB
"""Largest range of one ticket: it is in memory where it arrives."""

GRANT_PACKS_MAX: Final = 32
"""Packs in one request for tickets; more is refused."""

TICKET_S: Final = 15 * 60
"""Seconds for which a ticket is good: 8 MiB at 75 kbit/s. Then another one is asked for."""

ARRIVAL_S: Final = 2 * 3600
"""Seconds after its last ticket until a pack that nobody said has arrived is given up."""

ARRIVALS_PROMISED_MAX: Final = 1_000
"""Packs that one namespace may have under way, or given up within ARRIVAL_S: 16 GB at most that
nobody has accounted for. More is told to come later."""

ARRIVAL_QUARANTINE_S: Final = 30 * 24 * 3600
"""Seconds for which a pack is kept that was not what its device said, for whoever wants to look."""

ARRIVAL_JOINED_S: Final = 2 * TICKET_S
"""Seconds for which an object stays after its blocks have joined the common ones: who was told to
read it may be about to."""

ARRIVAL_STRAY_S: Final = 24 * 3600
"""Seconds after which an object is removed that a device put and of which nothing is known."""

# --- names and trees -----------------------------------------------------------------------

NAME_BYTES_MAX: Final = 255
"""UTF-8 bytes of one name: what ext4, XFS, APFS and NTFS can hold at least."""

PATH_BYTES_MAX: Final = 4_000
"""UTF-8 bytes of a whole path: PATH_MAX of Linux (4,096) less room for a root."""

DEPTH_MAX: Final = 256
"""Folders above one entry. Bounds every walk towards the root."""

SYMLINK_TARGET_BYTES_MAX: Final = 4_095
"""UTF-8 bytes of a symlink's target: what Linux can hold."""

# --- commits, changes, listings --------------------------------------------------------------

COMMIT_CHANGES_MAX: Final = 4_000
"""Changes in one commit. Bounds one transaction; more is refused as too large.
The design says up to 1,000; 4,000 keeps requests few for trees of small files."""

MISSING_BLOCKS_MAX: Final = 1_000
"""Missing blocks that the refusal of one change names; who commits asks for the rest."""

CHANGES_PAGE_ENTRIES_MAX: Final = 8_000
"""Entries in one page of changes or of a listing."""

REQUEST_JSON_BYTES_MAX: Final = 32 * MIB
"""A JSON request body after decompression. More is refused as too large."""

REVISIONS_MAX: Final = 1_000
"""Records of one entry that its history tells; older ones stay in the journal."""

IDEMPOTENCY_KEY_CHARS_MAX: Final = 200
"""Characters of an idempotency key; a longer one is refused."""

LONG_POLL_S_MAX: Final = 90
"""Seconds a long poll waits before it answers "nothing new"."""

BELL_CONNECTIONS_PER_DEVICE_MAX: Final = 4
"""Open bells of one device; the oldest is closed when one more comes."""

# --- guards ----------------------------------------------------------------------------------

EMPTIED_ENTRIES_MIN: Final = 10
"""If all synced entries would be deleted and are at least so many, the client asks first. Less
is quickly made again, and is what somebody does who tries the program out."""

MASS_DELETION_ENTRIES_MIN: Final = 50
"""So many deletions in one plan are asked about, if they are most of what is synced."""

MASS_DELETION_PERCENT_MIN: Final = 50
"""Of what is synced, in percent: more than this makes deletions a mass deletion."""

NOISE_HEAD_BYTES: Final = 4 * KIB
"""From the beginning of a file: so much tells whether it looks like noise. More costs more and
tells no more."""

NOISE_BYTES_MIN: Final = 128
"""Shorter files are never taken for noise: few bytes of any kind look random."""

MASS_REWRITE_ENTRIES_MIN: Final = 40
"""So many files that became noise within MASS_REWRITE_WINDOW_S are asked about, if they are
MASS_REWRITE_PERCENT_MIN of what is synced. No ordinary program makes noise of files that others
wrote; who keeps an encrypted vault changes a few at a time."""

MASS_REWRITE_PERCENT_MIN: Final = 5
"""Of what is synced, in percent; see MASS_REWRITE_ENTRIES_MIN."""

MASS_REWRITE_ENTRIES_MANY: Final = 400
"""So many files that became noise are asked about however much is synced."""

MASS_REWRITE_WINDOW_S: Final = 24 * 3600
"""Seconds for which files that became noise and were sent are remembered: what encrypts files a
few at a time is met as well. Counted by the hour."""

BRAKE_ENTRIES_MIN: Final = 200
"""So many entries that one device deletes, or overwrites with what does not compress, within
BRAKE_WINDOW_S make the server refuse and ask, if they are BRAKE_PERCENT_MIN of all. More than the
client's own bounds: this one is for clients whose guards do not work any more."""

BRAKE_PERCENT_MIN: Final = 50
"""Of a namespace's entries, in percent: more than this; see BRAKE_ENTRIES_MIN."""

BRAKE_WINDOW_S: Final = 3600
"""Seconds over which a device's destruction is summed up. What is younger may go uncounted."""

BRAKE_ALLOWED_ENTRIES_MAX: Final = 100_000_000
"""Entries that a human may allow a device to destroy at once; more is refused."""

BRAKE_ALLOWED_S_MAX: Final = 24 * 3600
"""Seconds for which a human may do so; longer is refused."""

# --- time -----------------------------------------------------------------------------------

LEASE_S: Final = 48 * 3600
"""Seconds for which an uploaded block is kept though nothing refers to it yet."""

LEASE_RENEW_BELOW_S: Final = 24 * 3600
"""An ask renews a lease with less than this left, so that a commit can follow safely."""

LEASE_COMMIT_S: Final = 6 * 3600
"""A commit sees to it that what it names is leased for so long, so that nothing of it can be
collected between being looked at and being in the journal."""

COLLECT_AGE_S: Final = 72 * 3600
"""Seconds for which a namespace goes on holding what it was found to need no more, and after which
an object that the index does not know is taken for left over. More than LEASE_S: whoever might
still come has come by then."""

COLLECT_UNHELD_S: Final = 3600
"""Seconds for which a block stays in the index that nobody holds: longer than any upload takes
from finding it there to holding it."""

COLLECT_THIN_PERCENT: Final = 50
"""A pack of which less than this is in use is compacted: moving is never more than is won."""

QUARANTINE_S: Final = 7 * 24 * 3600
"""Seconds for which the object of a retired pack stays where it is: for downloads that began
before, for restored backups of the metadata, and for who finds out that it was a mistake."""

SCRUB_AGAIN_S: Final = 30 * 24 * 3600
"""Seconds after which a pack is read and verified once more."""

REMOVED_REMEMBERED_S: Final = 7 * 24 * 3600
"""Seconds for which it is remembered that an object was removed: longer than anybody can be in the
middle of putting the very same bytes."""

IDEMPOTENCY_S: Final = 48 * 3600
"""Seconds for which the outcome of a commit is remembered for its idempotency key."""

TRASH_KEEP_S: Final = 30 * 24 * 3600
"""Seconds for which a device keeps replaced and deleted files in its local trash."""

DISK_RESERVE_BYTES: Final = 64 * MIB
"""Room a device leaves free on its disk. A file that would eat it up waits for more room."""

STAGED_KEEP_S: Final = 7 * 24 * 3600
"""Seconds for which a device keeps a half-fetched large file, to go on with it."""

WATCH_LAG_S: Final = 6
"""Seconds after which a change on a watched disk has been told, also one to a file that is never
closed. What is called safe is what was there so long ago."""

LOOKED_AT_S_MAX: Final = 180
"""Seconds for which the last scan of an unwatched folder counts as news of it: three intervals."""

SERVER_SILENT_S_MAX: Final = 180
"""Seconds without a sign of life, as the bell's heartbeat, after which the server may be away."""

SERVER_DISK_BYTES_MIN: Final = 64 * MIB
"""Room on the disk of the server's data directory below which it says that it is not ready."""

# --- sign-in ---------------------------------------------------------------------------------

PASSWORD_CHARS_MIN: Final = 8
PASSWORD_BYTES_MAX: Final = 1_024
ACCOUNT_NAME_CHARS_MAX: Final = 128
DEVICE_NAME_CHARS_MAX: Final = 64
SIGN_IN_FAILURES_MAX: Final = 10
"""Failed sign-ins per account name and per address in SIGN_IN_WINDOW_S; then "wait"."""
SIGN_IN_WINDOW_S: Final = 300
SIGN_IN_FAILURES_PER_ADDRESS_MAX: Final = 50
"""Failed sign-ins per address over all account names in SIGN_IN_WINDOW_S; then "wait"."""
SIGN_IN_TRACKED_MAX: Final = 10_000
"""Names and addresses whose failures are remembered; beyond it the oldest are forgotten."""
DEVICES_PER_ACCOUNT_MAX: Final = 500
"""Devices of one account that are not revoked. At it a sign-in is refused: revoke some."""
DEVICES_CACHED_MAX: Final = 10_000
"""Devices whose token is recognised without asking the database, about 5 MB."""
