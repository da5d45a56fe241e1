"""Starts the program ``tallykeeper``: quiets gRPC's core, which reads its environment when it is loaded."""

import os


def main() -> int:
    """Run the command line of this process and return its exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from tallykeeper_client import cli  # noqa: PLC0415  # loads gRPC

    return cli.main()
