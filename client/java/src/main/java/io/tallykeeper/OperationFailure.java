package io.tallykeeper;

import java.io.Serializable;

/**
 * An operation of an atomic batch that failed.
 *
 * @param index the index of the operation in the batch; 0 is the first
 * @param error the error that the operation's own call would have had
 */
public record OperationFailure(int index, TallykeeperException error) implements Serializable {}
