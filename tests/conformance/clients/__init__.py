"""Clients of five languages under load, while the workers of a server are replaced: see `rolling_restart`.

Each folder holds the load program of one language, with the standard gRPC client of that language and stubs that are
generated from the repository's protos. A program takes ``--target``, ``--namespace``, ``--callers``,
``--service-config`` and, with TLS, ``--ca``, ``--certificate`` and ``--key``. It prints ``ready``, calls until its
standard input ends, and prints its report as one line of JSON.

One half of the callers use a channel with the retry policy of the service config. The other half use a channel without
one, and calls that wait for a connection. These calls fail when a call that has begun is lost. Each caller increments
the counter ``calls``, adds a copy of the item ``copies``, each under a request id that it uses once, and reads the
counter. A watch follows the ledger from its beginning. When the server is unavailable, it begins again after the last
revision.

The report has the numbers of acknowledged ``calls``, ``increments`` and ``copies``, ``retried`` (null if the client
does not report it), ``watched_revision``, ``watched_entries``, ``resumed``, and ``errors`` with ``code``, ``message``
and ``count``.
"""
