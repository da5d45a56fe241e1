package io.tallykeeper;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import io.tallykeeper.v1.ApplyRequest;
import io.tallykeeper.v1.Operation;
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

  /** Returns a request that has a namespace if it named none and, of a mutation, a fresh request id if it had none. */
  static <Q extends Message> Q complete(Q request, String namespace) {
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

  /** Returns the request id of a mutation; empty for a read. */
  static String requestId(Message request) {
    Descriptor type = request.getDescriptorForType();
    return MUTATIONS.contains(type) ? (String) request.getField(type.findFieldByName(REQUEST_ID)) : "";
  }

  private static boolean isEmpty(Message request, FieldDescriptor field) {
    return ((String) request.getField(field)).isEmpty();
  }
}
