/** The messages and services of the contract, as they are generated from the protos of `tallykeeper.v1`. */

import { createRegistry, type Registry } from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "./gen/google/rpc/error_details_pb.js";
import { file_tallykeeper_v1_batch } from "./gen/tallykeeper/v1/batch_pb.js";
import { file_tallykeeper_v1_ledger } from "./gen/tallykeeper/v1/ledger_pb.js";
import { file_tallykeeper_v1_namespace } from "./gen/tallykeeper/v1/namespace_pb.js";
import { file_tallykeeper_v1_server } from "./gen/tallykeeper/v1/server_pb.js";

export * from "./gen/tallykeeper/v1/batch_pb.js";
export * from "./gen/tallykeeper/v1/counter_pb.js";
export * from "./gen/tallykeeper/v1/inventory_pb.js";
export * from "./gen/tallykeeper/v1/ledger_pb.js";
export * from "./gen/tallykeeper/v1/namespace_pb.js";
export * from "./gen/tallykeeper/v1/reservation_pb.js";
export * from "./gen/tallykeeper/v1/server_pb.js";

/** All types of the contract and of the details of its errors: `toJson` needs it for an operation's error. */
export const registry: Registry = /*@__PURE__*/ createRegistry(
  file_google_rpc_error_details,
  file_tallykeeper_v1_batch,
  file_tallykeeper_v1_ledger,
  file_tallykeeper_v1_namespace,
  file_tallykeeper_v1_server,
);
