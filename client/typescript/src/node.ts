/** Connects from Node.js, over gRPC. */

import type { SecureClientSessionOptions } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { urlOf } from "./address.js";
import { TallykeeperClient } from "./client.js";
import { checkNames } from "./names.js";
import type { ClientOptions } from "./options.js";
import type { WaitForConnection } from "./session.js";
import { type Deadline, linkSignals, pause } from "./signals.js";

export * from "./exports.js";

/** The milliseconds after which a silent connection with a call on it is tested, and the time for the answer. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** The pause before another attempt to connect: this, then twice as long each time, up to the maximum. */
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 500;

/** The errors of a server that is not there now, and may be soon. */
const PASSING: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** The options of TLS. All values are PEM. */
export interface TlsOptions {
  /** The certificates of the authorities that sign that of the server; the roots of Node.js if absent. */
  readonly ca?: string | Uint8Array | undefined;
  /** The certificate by which the server knows this client, with `key`: mutual TLS. */
  readonly cert?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** The name in the server's certificate, if it is not the host of the address. */
  readonly serverName?: string | undefined;
}

/** The options of a client in Node.js. */
export interface ConnectOptions extends ClientOptions {
  /** True or options: TLS. Absent or false: plaintext. */
  readonly tls?: boolean | TlsOptions | undefined;
}

/**
 * Make a client of the server at an address, such as `127.0.0.1:50051`. The first call connects.
 *
 * @throws TypeError if the address, the token or the TLS options cannot be right.
 */
export function connect(address: string, options: ConnectOptions = {}): TallykeeperClient {
  const { tls, ...others } = options;
  const hasTls = tls !== undefined && tls !== false;
  const baseUrl = urlOf(address, hasTls);
  const sessionManager = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: KEEPALIVE_MS, pingTimeoutMs: KEEPALIVE_TIMEOUT_MS },
    hasTls ? secureOptions(tls === true ? {} : tls) : {},
  );
  const connection = {
    address,
    transport: createGrpcTransport({ baseUrl, sessionManager }),
    waitForConnection: waitFor(sessionManager),
    close: () => sessionManager.abort(),
  };
  return new TallykeeperClient(connection, others);
}

function secureOptions(tls: TlsOptions): SecureClientSessionOptions {
  checkNames(tls, ["ca", "cert", "key", "serverName"], "tls");
  const { ca, cert, key, serverName } = tls;
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError("tls has a cert or a key without the other; mutual TLS takes both");
  }
  return {
    ...(ca === undefined ? {} : { ca: buffer(ca) }),
    ...(cert === undefined ? {} : { cert: buffer(cert) }),
    ...(key === undefined ? {} : { key: buffer(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function buffer(pem: string | Uint8Array): string | Buffer {
  return typeof pem === "string" ? pem : Buffer.from(pem);
}

/**
 * Wait for a connection as gRPC's `waitForReady` does: a call that was never sent bridges a server that restarts.
 *
 * An error that waiting cannot solve, such as a certificate that is not trusted, is thrown at once.
 */
function waitFor(sessionManager: Http2SessionManager): WaitForConnection {
  return async (deadline, signal) => {
    for (let wait = RECONNECT_MS_MIN; ; wait = Math.min(wait * 2, RECONNECT_MS_MAX)) {
      const state = sessionManager.state();
      if (state === "open" || state === "idle" || state === "verifying") return;
      const limit = linkSignals(signal);
      const outcome = await Promise.race([sessionManager.connect(), timeOut(deadline, limit.signal)]);
      limit.abort();
      limit.release();
      if (signal.aborted || outcome === "open" || outcome === "idle") return;
      if (outcome === "late") throw new ConnectError("no connection before the deadline", Code.Unavailable);
      const error = sessionManager.error();
      const restMs = deadline.remainingMs - RECONNECT_MS_MIN; // The last attempt needs time, too.
      if (!isPassing(error) || restMs <= 0) throw error;
      await pause(Math.min(wait, restMs), signal);
    }
  };
}

/** Wait for the deadline or the signal. */
async function timeOut(deadline: Deadline, signal: AbortSignal): Promise<"late"> {
  await pause(deadline.remainingMs, signal);
  return "late";
}

function isPassing(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && PASSING.has(cause.code)) return true;
  }
  return false;
}
