/** Checks the numbers that a program hands to a convenience method. */

const LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

/** A 64-bit integer of the contract: a safe integer, or a bigint in the same range. */
export type Integer = number | bigint;

/**
 * Return a number as the bigint that travels.
 *
 * @throws RangeError if it is a fraction, or outside of -(2^53-1) .. 2^53-1, where a number may already be rounded.
 */
export function integerOf(field: string, value: Integer): bigint {
  const isExact = typeof value === "bigint" ? value >= -LIMIT && value <= LIMIT : Number.isSafeInteger(value);
  if (!isExact) {
    throw new RangeError(`${field} is ${value}; it must be an integer from -(2^53-1) to 2^53-1`);
  }
  return BigInt(value);
}

/** Return an optional number as an object with the field or without it, to be spread into a request. */
export function optionalInteger<Field extends string>(
  field: Field,
  value: Integer | undefined,
): Partial<Record<Field, bigint>> {
  return value === undefined ? {} : ({ [field]: integerOf(field, value) } as Partial<Record<Field, bigint>>);
}
