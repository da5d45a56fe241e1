/** The exports of the package that are the same on every platform. */

export { create, fromJson, toJson } from "@bufbuild/protobuf";
export { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
export { Code } from "@connectrpc/connect";
export { type Connection, type Present, TallykeeperClient } from "./client.js";
export * from "./errors.js";
export type { Failure, FieldViolation } from "./failure.js";
export type { Integer } from "./numbers.js";
export * as operations from "./operations.js";
export type { OperationInit } from "./operations.js";
export {
  type BatchOptions,
  type ClientOptions,
  type LevelReadOptions,
  type MutationOptions,
  type ReadOptions,
  type StockReadOptions,
  TIMEOUT_MS_DEFAULT,
} from "./options.js";
export { errorOfResult } from "./reasons.js";
export * from "./refusals.js";
export { newRequestId } from "./request-id.js";
export type * from "./requests.js";
export { RETRY_POLICY, type RetryPolicy } from "./retries.js";
export type { Token } from "./token.js";
export { Watch } from "./watch.js";
