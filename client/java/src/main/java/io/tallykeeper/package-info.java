/**
 * The client of Tallykeeper, a gRPC service for counters and stock.
 *
 * <p>{@link io.tallykeeper.TallykeeperClient} blocks, {@link io.tallykeeper.AsyncTallykeeperClient} returns
 * futures. Both take the request messages of the contract, which protoc
 * generates into {@code io.tallykeeper.v1}, and throw or complete with a {@link io.tallykeeper.TallykeeperException}.
 */
package io.tallykeeper;
