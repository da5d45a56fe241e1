/** Keeps the token that goes with every call, and asks for another one when it has expired. */

/**
 * An API key or a JWT, or a function that returns one.
 *
 * The function is called before the first call, and again when the server answers that the token has expired.
 */
export type Token = string | (() => string | Promise<string>);

/** The `authorization` header of a client. */
export class Credentials {
  readonly #token: Token | undefined;
  #current: Promise<string> | undefined;

  /** @throws TypeError if the token is a string that no header can hold. */
  constructor(token: Token | undefined) {
    this.#token = token;
    if (typeof token === "string") checkToken(token);
  }

  /** True if a new token is available. */
  get canRefresh(): boolean {
    return typeof this.#token === "function";
  }

  /** Return headers with the token added. Calls that are made together ask for one token together. */
  async addTo(headers: HeadersInit | undefined): Promise<Headers> {
    const all = new Headers(headers);
    if (this.#token !== undefined && !all.has("authorization")) {
      all.set("authorization", `Bearer ${await this.#read(this.#token)}`);
    }
    return all;
  }

  /** Forget the token that was in these headers, unless another call has done so. */
  async forget(headers: Headers): Promise<void> {
    const expired = this.#current;
    if (expired !== undefined && headers.get("authorization") === `Bearer ${await expired.catch(() => "")}`) {
      if (this.#current === expired) this.#current = undefined;
    }
  }

  #read(token: Token): string | Promise<string> {
    if (typeof token === "string") return token;
    if (this.#current === undefined) {
      const asked = (async () => checkToken(await token()))();
      this.#current = asked;
      // A function that failed is asked again by the next call.
      asked.catch(() => {
        if (this.#current === asked) this.#current = undefined;
      });
    }
    return this.#current;
  }
}

function checkToken(token: string): string {
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("the token must be printable ASCII without spaces, and not empty");
  }
  return token;
}
