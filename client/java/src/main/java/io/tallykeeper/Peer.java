package io.tallykeeper;

/**
 * The server that a call went to.
 *
 * @param address as the program named it
 * @param isConnected false if there was no connection when the call ended
 */
record Peer(String address, boolean isConnected) {}
