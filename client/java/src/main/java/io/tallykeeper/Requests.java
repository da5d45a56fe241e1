package io.tallykeeper;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import io.tallykeeper.v1.ApplyRequest;
import io.tallykeeper.v1.Operation;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Completes requests: with the client's namespace, and a mutation with a request id. */
final class Requests {
  private static final String NAMESPACE = "namespace";
  private static final String REQUEST_ID = "request_id";

  /** The requests of a batch, and the batch itself. In other requests, request_id is that of a request to look up. */
  private static final Set<Descriptor> MUTATIONS =
      Stream.concat(
              Operation.getDescriptor().getOneofs().get(0).getFields().stream().map(FieldDescriptor::getMessageType),
              Stream.of(ApplyRequest.getDescriptor()))
          .collect(Collectors.toUnmodifiableSet());

  private Requests() {}

  /** Returns an id that no request has had: a UUID of version 4. */
  static String newRequestId() {
    return UUID.randomUUID().toString();
  }

  /**
   * Returns a request that has a namespace if it named none and, of a mutation, a fresh request id if it had none.
   *
   * @throws IllegalArgumentException if a text is no Unicode: protobuf would put a question mark in its place, so that
   *     two names would be one
   */
  static <Q extends Message> Q complete(Q request, String namespace) {
    checkText(request);
    Descriptor type = request.getDescriptorForType();
    Message.Builder builder = null;
    FieldDescriptor namespaceField = type.findFieldByName(NAMESPACE);
    if (namespaceField != null && !namespace.isEmpty() && isEmpty(request, namespaceField)) {
      builder = request.toBuilder().setField(namespaceField, namespace);
    }
    FieldDescriptor requestIdField = type.findFieldByName(REQUEST_ID);
    if (MUTATIONS.contains(type) && isEmpty(request, requestIdField)) {
      builder = (builder == null ? request.toBuilder() : builder).setField(requestIdField, newRequestId());
    }
    @SuppressWarnings("unchecked") // a builder builds messages of the type that it was made from
    Q complete = builder == null ? request : (Q) builder.build();
    return complete;
  }

  private static void checkText(Message message) {
    message.getAllFields().forEach((field, value) -> checkText(field, value));
  }

  private static void checkText(FieldDescriptor field, Object value) {
    if (value instanceof List<?> elements) {
      elements.forEach(element -> checkText(field, element));
    } else if (value instanceof Message message) {
      checkText(message);
    } else if (value instanceof String text && text.codePoints().anyMatch(Requests::isSurrogate)) {
      throw new IllegalArgumentException(field.getFullName() + " has half of a surrogate pair; it must be Unicode");
    }
  }

  /** Tells whether a code point is half of a surrogate pair; a whole pair is one code point beyond them. */
  private static boolean isSurrogate(int codePoint) {
    return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
  }

  /** Returns the request id of a mutation; empty for a read. */
  static String requestId(Message request) {
    Descriptor type = request.getDescriptorForType();
    return MUTATIONS.contains(type) ? (String) request.getField(type.findFieldByName(REQUEST_ID)) : "";
  }

  private static boolean isEmpty(Message request, FieldDescriptor field) {
    return ((String) request.getField(field)).isEmpty();
  }
}
