/** Makes the keys by which the server knows a repeated mutation. */

/**
 * Return a fresh UUIDv4.
 *
 * It uses `crypto.getRandomValues`, because browsers have `crypto.randomUUID` on pages with HTTPS only.
 */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
