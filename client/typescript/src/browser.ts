/** Connects from browsers, and from wherever there is `fetch`, over Connect or gRPC-Web. */

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { TallykeeperClient } from "./client.js";
import type { ClientOptions } from "./options.js";

export * from "./exports.js";

/** The options of a client in a browser. */
export interface ConnectOptions extends ClientOptions {
  /** The protocol: `connect`, with JSON that the tools of a browser show, if absent. */
  readonly protocol?: "connect" | "grpc-web" | undefined;
  /** Stands in for the browser's own `fetch`, for example to send cookies. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Make a client of the HTTP port of a server, such as `https://stock.example.com:50080`.
 *
 * @throws TypeError if the URL or the token cannot be right.
 */
export function connect(baseUrl: string, options: ConnectOptions = {}): TallykeeperClient {
  const { protocol, fetch, ...others } = options;
  const url = baseUrl.replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/i.test(url)) {
    throw new TypeError(
      `the address ${JSON.stringify(baseUrl)} is no URL; write https://HOST:PORT or http://HOST:PORT`,
    );
  }
  const transportOptions = { baseUrl: url, ...(fetch === undefined ? {} : { fetch }) };
  const transport =
    protocol === "grpc-web" ? createGrpcWebTransport(transportOptions) : createConnectTransport(transportOptions);
  return new TallykeeperClient({ transport, address: url }, others);
}
