/** Refuses what JavaScript would pass over in silence: misspelt options and fields, and text that is no Unicode. */

import type { DescMessage, DescOneof } from "@bufbuild/protobuf";

/**
 * Check that an object has no other names than those that are known.
 *
 * A misspelt `requestId` would otherwise be no request id, so that a repeat counts twice.
 *
 * @param given the options or fields; those that nobody has taken, if none are known.
 * @param known the names that the message of the error lists.
 * @param place the path of the object, such as `lines[0]`.
 * @throws TypeError if there are others, with their paths.
 */
export function checkNames(given: object, known: readonly string[] = [], place = ""): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const paths = unknown.map((name) => pathOf(place, name)).join(", ");
  const names = known.length > 0 ? `: the names are ${known.join(", ")}` : "";
  throw new TypeError(`there is no option or field ${paths}; check the spelling${names}`);
}

/**
 * Check that a request has no other fields than its message, also in the messages within it. protobuf-es would leave
 * the others out.
 *
 * @param init the message or its fields. Anything else is a value that the encoder takes or refuses.
 * @throws TypeError if there are others, with their paths.
 */
export function checkFields(message: DescMessage, init: unknown, place = ""): void {
  if (!isObject(init)) return;
  const { $typeName, $unknown, ...given } = init;
  checkNames(given, namesOf(message.members), place);
  for (const member of message.members) {
    const path = pathOf(place, member.localName);
    const value = given[member.localName];
    if (member.kind === "oneof") {
      checkOneof(member, value, path);
    } else if (member.fieldKind === "message") {
      checkFields(member.message, value, path);
    } else if (member.message !== undefined && isObject(value)) {
      for (const [key, each] of Object.entries(value)) checkFields(member.message, each, `${path}[${key}]`);
    }
  }
}

/** Check a oneof, `{ case: "increment", value: { … } }`: an unknown case would be none at all. */
function checkOneof(oneof: DescOneof, init: unknown, place: string): void {
  if (!isObject(init)) return;
  checkNames(init, ["case", "value"], place);
  if (init["case"] === undefined) return;
  const field = oneof.fields.find(({ localName }) => localName === init["case"]);
  if (field === undefined) {
    const names = namesOf(oneof.fields).join(", ");
    throw new TypeError(`${place}.case is ${JSON.stringify(init["case"])}; it must be one of ${names}`);
  }
  if (field.message !== undefined) checkFields(field.message, init["value"], `${place}.value`);
}

function namesOf(members: readonly { readonly localName: string }[]): string[] {
  return members.map(({ localName }) => localName);
}

function pathOf(place: string, name: string): string {
  return place === "" ? name : `${place}.${name}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
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
  } else if (isObject(value)) {
    for (const [name, field] of Object.entries(value)) checkText(field, pathOf(path, name));
  }
}
