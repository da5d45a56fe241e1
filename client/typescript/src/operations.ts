/**
 * Makes the operations of a batch: each function takes what the client's method of that name takes.
 *
 *     await client.apply([operations.increment("sold"), operations.takeCopies("dune")], { mode: "atomic" });
 *
 * A batch has one request id and one deadline, so an operation has none. Operations without a function here are written
 * as protobuf-es writes them: `{ operation: { case: "moveCopies", value: { item: "dune", toLocation: "shop" } } }`.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OperationSchema } from "./gen/tallykeeper/v1/batch_pb.js";
import type { Integer } from "./numbers.js";
import * as requests from "./requests.js";

/** An operation of a batch. */
export type OperationInit = MessageInitShape<typeof OperationSchema>;

export function increment(counter: string, options: requests.IncrementOptions = {}): OperationInit {
  return { operation: { case: "increment", value: requests.incrementRequest(counter, options) } };
}

export function setCounter(counter: string, value: Integer, options: requests.SetCounterOptions = {}): OperationInit {
  return { operation: { case: "setCounter", value: requests.setCounterRequest(counter, value, options) } };
}

export function takeCopies(item: string, options: requests.TakeOptions = {}): OperationInit {
  return { operation: { case: "decrementCopies", value: requests.takeCopiesRequest(item, options) } };
}

export function returnCopies(item: string, options: requests.CopiesOptions = {}): OperationInit {
  return { operation: { case: "incrementCopies", value: requests.returnCopiesRequest(item, options) } };
}

export function setStock(item: string, onHand: Integer, options: requests.SetStockOptions = {}): OperationInit {
  return { operation: { case: "setStock", value: requests.setStockRequest(item, onHand, options) } };
}

export function reserve(lines: readonly requests.Line[], options: requests.ReserveOptions = {}): OperationInit {
  return { operation: { case: "reserve", value: requests.reserveRequest(lines, options) } };
}

export function commit(reservationId: string, options: requests.CommitOptions = {}): OperationInit {
  return { operation: { case: "commit", value: requests.commitRequest(reservationId, options) } };
}

export function release(reservationId: string, options: requests.Annotations = {}): OperationInit {
  return { operation: { case: "release", value: requests.releaseRequest(reservationId, options) } };
}

export function extend(reservationId: string, options: requests.ExtendOptions = {}): OperationInit {
  return { operation: { case: "extend", value: requests.extendRequest(reservationId, options) } };
}
