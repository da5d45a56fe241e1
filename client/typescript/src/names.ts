/** Refuses what JavaScript would pass over in silence: misspelt options, and text that is no Unicode. */

/**
 * Check that all options were taken.
 *
 * A misspelt `requestId` would otherwise be no request id, so that a repeat counts twice.
 *
 * @param others the options that nobody has taken.
 * @param known the names among them that are taken elsewhere.
 * @throws TypeError if there are others.
 */
export function checkNames(others: object, known: readonly string[] = []): void {
  const unknown = Object.keys(others).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new TypeError(`there is no option or field ${unknown.join(", ")}; check the spelling`);
}

/**
 * Check that all text of a request is Unicode. UTF-8 has no half of a surrogate pair, and encoders put U+FFFD in its
 * place, so that two different names would be one.
 *
 * @throws RangeError if it is not, with the path of the field.
 */
export function checkText(value: unknown, path = ""): void {
  if (typeof value === "string") {
    if (/\p{Surrogate}/u.test(value)) {
      throw new RangeError(`${path} is ${JSON.stringify(value)}; it must be Unicode, without half of a surrogate pair`);
    }
  } else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) {
    for (const [name, field] of Object.entries(value)) checkText(field, path === "" ? name : `${path}.${name}`);
  }
}
