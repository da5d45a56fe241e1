"""The messages of ServerService, made from the values of the domain."""

import math
from collections.abc import Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import server_pb2
from tallykeeper_server.domain.server_status import (
    AppendOnlyFile,
    LimitUse,
    NodeStatus,
    Promise,
    Replica,
    ServerStatus,
    StoreKind,
)
from tallykeeper_server.rpc.messages import duration_of
from tallykeeper_server.rpc.namespaces import DURABILITIES

_KINDS: Final[Mapping[StoreKind, server_pb2.StoreKind]] = {
    StoreKind.EMBEDDED: server_pb2.STORE_KIND_EMBEDDED,
    StoreKind.NODE: server_pb2.STORE_KIND_NODE,
    StoreKind.SENTINEL: server_pb2.STORE_KIND_SENTINEL,
    StoreKind.CLUSTER: server_pb2.STORE_KIND_CLUSTER,
}


def status_response(status: ServerStatus) -> server_pb2.GetServerStatusResponse:
    """Return the state of a server as a response."""
    return server_pb2.GetServerStatusResponse(
        server=_server_message(status),
        store=_store_message(status),
        promises=map(_promise_message, status.store.promises),
        limits=map(_limit_message, status.limits),
    )


def _server_message(status: ServerStatus) -> server_pb2.ServerStatus:
    message = server_pb2.ServerStatus(
        version=status.version,
        uptime=duration_of(round(status.uptime_seconds * 1_000)),
        worker_count=status.workers,
        worker=status.worker,
        worker_uptime=duration_of(round(status.worker_uptime_seconds * 1_000)),
    )
    if status.certificate_ends_at is not None:
        message.certificate_expire_time.CopyFrom(Timestamp(seconds=math.floor(status.certificate_ends_at)))
    return message


def _store_message(status: ServerStatus) -> server_pb2.StoreStatus:
    return server_pb2.StoreStatus(
        kind=_KINDS[status.store_kind],
        location=status.store_location,
        fault=status.store.fault,
        nodes=map(_node_message, status.store.nodes),
        request_id_count=status.store.request_ids,
    )


def _node_message(node: NodeStatus) -> server_pb2.StoreNode:
    return server_pb2.StoreNode(
        address=node.address,
        fault=node.fault,
        software=node.software,
        memory_bytes=node.memory_bytes,
        memory_bytes_max=node.memory_bytes_max,
        append_only_file=None if node.append_only_file is None else _append_only_message(node.append_only_file),
        replicas=map(_replica_message, node.replicas),
    )


def _append_only_message(file: AppendOnlyFile) -> server_pb2.AppendOnlyFile:
    return server_pb2.AppendOnlyFile(
        enabled=file.is_enabled,
        sync_policy=file.sync_policy,
        last_write_succeeded=file.write_succeeded,
        last_rewrite_succeeded=file.rewrite_succeeded,
        delayed_sync_count=file.delayed_syncs,
        size_bytes=file.size_bytes,
    )


def _replica_message(replica: Replica) -> server_pb2.Replica:
    return server_pb2.Replica(
        address=replica.address,
        online=replica.is_online,
        lag=duration_of(replica.lag_seconds * 1_000),
        lag_bytes=replica.lag_bytes,
    )


def _promise_message(promise: Promise) -> server_pb2.Promise:
    return server_pb2.Promise(
        durability=DURABILITIES[promise.durability],
        is_default=promise.is_default,
        namespaces=promise.namespaces,
        kept=not promise.reasons,
        reasons=promise.reasons,
    )


def _limit_message(use: LimitUse) -> server_pb2.LimitUse:
    return server_pb2.LimitUse(name=use.name, unit=use.unit, used=use.used, limit=use.limit, near=use.is_near)
