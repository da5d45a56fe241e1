/** Reads the address of a gRPC server. */

const EXAMPLE = "127.0.0.1:50051";

/**
 * Return the URL of an address, HOST:PORT or [IPV6]:PORT.
 *
 * @throws TypeError if it is none, and says how to write it.
 */
export function urlOf(address: string, withTls: boolean): string {
  const scheme = withTls ? "https" : "http";
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(address)) {
    throw new TypeError(`the address ${JSON.stringify(address)} is a URL; write HOST:PORT, such as ${EXAMPLE}`);
  }
  const found = /^(\[[0-9a-f:.%a-z]+\]|[^\s:/?#@[\]]+):(\d{1,5})$/i.exec(address);
  if (found === null || Number(found[2]) < 1 || Number(found[2]) > 65_535) {
    throw new TypeError(
      `the address ${JSON.stringify(address)} is not HOST:PORT, such as ${EXAMPLE}, or [IPV6]:PORT, ` +
        "with a port from 1 to 65535",
    );
  }
  return `${scheme}://${found[1]}:${found[2]}`;
}
