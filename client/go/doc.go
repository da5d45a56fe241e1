// Package tallykeeper is the client of Tallykeeper, a service for counters and stock.
//
// [NewClient] returns a [Client]. Its fields CounterService, InventoryService and so on are the clients that gRPC
// generates from the contract, so that every RPC can be called with its own request message. Its methods are short
// forms of the calls that programs make most. Both do the same four things for each call:
//
//   - They fill in the namespace of the client if the request names none.
//   - They give a mutation a fresh request id if it has none, so that a repeat never counts twice. The request of the
//     caller stays as it is.
//   - They set a deadline, 5 seconds unless [WithTimeout] says otherwise, if the context has none.
//   - They repeat a call while the server is away or overloaded, with the same request id, until the deadline.
//
// # Errors
//
// Each error of a call is a [*CallError] with its gRPC code, its reason and the values that belong to the reason.
// [errors.Is] compares an error with a [Reason], such as [ErrInsufficientStock]. [errors.As] finds the types that have
// the values of a reason, such as [*InsufficientStockError].
//
// # Watches
//
// [Client.Watch] follows the changes of a namespace. It outlives lost connections and restarts of the server: it begins
// again after the last revision that it has received.
package tallykeeper
