package io.tallykeeper;

import java.io.Serializable;

/**
 * A field of a request that breaks a rule.
 *
 * @param field the path of the field, such as {@code lines[0].copies}
 * @param description the rule, with the value that was sent
 */
public record FieldViolation(String field, String description) implements Serializable {}
