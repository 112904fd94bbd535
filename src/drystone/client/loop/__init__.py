# SPDX-License-Identifier: Apache-2.0
"""The loop: the only room that knows the order of the steps.

A sync is a row of *rounds*, until nothing is left to do:

    read the first page of changes                        (pull)
    look at the disk; send what is new as it is found     (scan, digest, upload, submit)
    read the rest; write what is new as it comes          (pull, fetch, materialize)
    plan all that is left, and carry it out               (reconcile, all of them)

While a side is not known whole, only what is new on the other may move: it harms nothing if
it turns out later that it was no news. Batches overlap: while one is written, the next is
fetched and the one after that is read, with little in memory. What is stored are observations
(``State``); a plan is made from them and forgotten.

``running`` repeats rounds and decides when; ``rounds`` does one round; ``outward`` looks at the
disk, ``inward`` at the server; ``carrying`` carries out one plan; ``sending`` and ``receiving`` are
the rows of batches up and down.
"""
