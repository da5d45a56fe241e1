/** A Tallykeeper server of a few lines, whose every answer a test decides. */

import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createRouterTransport,
  type HandlerContext,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import {
  CounterService,
  type IncrementRequest,
  type IncrementResponseSchema,
} from "../../src/gen/tallykeeper/v1/counter_pb.js";
import { LedgerService, type WatchRequest, type WatchResponseSchema } from "../../src/gen/tallykeeper/v1/ledger_pb.js";
import { TallykeeperClient, type ClientOptions } from "../../src/node.js";

export type IncrementAnswer = MessageInitShape<typeof IncrementResponseSchema>;
export type WatchAnswer = MessageInitShape<typeof WatchResponseSchema>;
type Increment = (request: IncrementRequest, context: HandlerContext) => IncrementAnswer | Promise<IncrementAnswer>;
type WatchHandler = (request: WatchRequest, context: HandlerContext) => AsyncIterable<WatchAnswer>;

/** The answers of a server, each used once and the last for ever, and the requests that came. */
export class Script {
  readonly requests: IncrementRequest[] = [];
  readonly watches: WatchRequest[] = [];
  readonly headers: Headers[] = [];
  increments: Increment[] = [() => ({ counter: { counter: "c", value: 1n }, revision: 1n })];
  watching: WatchHandler[] = [];

  readonly routes = (router: ConnectRouter): void => {
    router.service(CounterService, {
      increment: (request, context) => {
        this.requests.push(request);
        this.headers.push(context.requestHeader);
        return next(this.increments)(request, context);
      },
    });
    router.service(LedgerService, {
      watch: (request, context) => {
        this.watches.push(request);
        this.headers.push(context.requestHeader);
        return next(this.watching)(request, context);
      },
    });
  };

  /** Make a client whose calls this script answers without a network. */
  client(options: ClientOptions = {}): TallykeeperClient {
    return new TallykeeperClient({ transport: createRouterTransport(this.routes), address: "the script" }, options);
  }
}

function next<Answer>(answers: Answer[]): Answer {
  const answer = answers.length > 1 ? answers.shift() : answers[0];
  if (answer === undefined) throw new Error("the script has no answer");
  return answer;
}

/** An answer that is an error of the contract. */
export function fails(
  code: Code,
  reason: string,
  {
    metadata = {},
    retryAfterMs,
    headers = {},
  }: {
    readonly metadata?: Record<string, string>;
    readonly retryAfterMs?: number;
    readonly headers?: HeadersInit;
  } = {},
): () => never {
  return () => {
    throw new ConnectError(`failed with ${reason}`, code, headers, [
      { desc: ErrorInfoSchema, value: { reason, domain: "tallykeeper.io", metadata } },
      ...(retryAfterMs === undefined
        ? []
        : [{ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) }) }]),
    ]);
  };
}

/** A server on loopback. */
export class Listening implements AsyncDisposable {
  readonly #close: () => Promise<void>;
  readonly #sockets: Set<Socket>;
  readonly port: number;

  constructor(port: number, sockets: Set<Socket>, close: () => Promise<void>) {
    this.port = port;
    this.#sockets = sockets;
    this.#close = close;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Break all connections as the death of a process does. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Close the port and all connections. */
  async close(): Promise<void> {
    const closed = this.#close();
    this.breakConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Serve a script over gRPC, as the server's gRPC port does; port 0: a free one. */
export function serveGrpc(script: Script, port = 0): Promise<Listening> {
  const server = createHttp2Server(connectNodeAdapter({ routes: script.routes }));
  server.on("session", (session: ServerHttp2Session) => session.on("error", () => {}));
  return listen(server, port);
}

/** Serve a script over HTTP/1.1, as the server's HTTP port does for browsers. */
export function serveHttp(script: Script): Promise<Listening> {
  return listen(createHttp1Server(connectNodeAdapter({ routes: script.routes })), 0);
}

type Server = ReturnType<typeof createHttp1Server> | ReturnType<typeof createHttp2Server>;

function listen(server: Server, port: number): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () =>
      resolve(new Listening((server.address() as AddressInfo).port, sockets, close)),
    );
  });
}
