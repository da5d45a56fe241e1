package io.tallykeeper;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Descriptors.MethodDescriptor;
import com.google.protobuf.DynamicMessage;
import io.tallykeeper.v1.ApplyRequest;
import io.tallykeeper.v1.BatchProto;
import io.tallykeeper.v1.CounterProto;
import io.tallykeeper.v1.IncrementRequest;
import io.tallykeeper.v1.InventoryProto;
import io.tallykeeper.v1.LedgerProto;
import io.tallykeeper.v1.ListEntriesRequest;
import io.tallykeeper.v1.ListNamespacesRequest;
import io.tallykeeper.v1.LookupRequestRequest;
import io.tallykeeper.v1.NamespaceProto;
import io.tallykeeper.v1.ReservationProto;
import io.tallykeeper.v1.ServerProto;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class RequestsTest {
  @Test
  void fillsInTheNamespaceIfTheRequestNamesNone() {
    assertEquals("shop", Requests.complete(IncrementRequest.getDefaultInstance(), "shop").getNamespace());
  }

  @Test
  void keepsTheNamespaceThatTheRequestNames() {
    IncrementRequest request = IncrementRequest.newBuilder().setNamespace("library").build();
    assertEquals("library", Requests.complete(request, "shop").getNamespace());
  }

  @Test
  void makesARequestIdOfVersion4ForEachMutation() {
    String first = Requests.complete(IncrementRequest.getDefaultInstance(), "").getRequestId();
    String second = Requests.complete(IncrementRequest.getDefaultInstance(), "").getRequestId();
    assertEquals(4, UUID.fromString(first).version());
    assertNotEquals(first, second);
  }

  @Test
  void keepsTheRequestIdOfTheCaller() {
    IncrementRequest request = IncrementRequest.newBuilder().setNamespace("shop").setRequestId("order-1").build();
    assertSame(request, Requests.complete(request, "library"));
    assertEquals("order-1", Requests.requestId(request));
  }

  @Test
  void leavesTheOperationsOfABatchAsTheyAre() {
    ApplyRequest request = ApplyRequest.newBuilder().addOperations(Operations.increment("visitors", 1)).build();
    ApplyRequest complete = Requests.complete(request, "shop");
    assertEquals(request.getOperations(0), complete.getOperations(0));
    assertNotEquals("", complete.getRequestId());
  }

  @Test
  void inventsNoRequestIdToLookFor() {
    assertEquals("", Requests.complete(ListEntriesRequest.getDefaultInstance(), "shop").getRequestId());
    assertEquals("", Requests.complete(LookupRequestRequest.getDefaultInstance(), "shop").getRequestId());
    assertEquals("", Requests.requestId(LookupRequestRequest.newBuilder().setRequestId("order-1").build()));
  }

  @Test
  void leavesARequestWithoutANamespaceAsItIs() {
    ListNamespacesRequest request = ListNamespacesRequest.getDefaultInstance();
    assertSame(request, Requests.complete(request, "shop"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\ud800", "x\udfff", "\udc00\ud800", "\ud800x"})
  void refusesTextThatIsNoUnicode(String text) {
    IncrementRequest counter = IncrementRequest.newBuilder().setCounter(text).build();
    ApplyRequest batch = ApplyRequest.newBuilder().addOperations(Operations.increment(text, 1)).build();
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> Requests.complete(counter, ""));
    assertEquals(
        "tallykeeper.v1.IncrementRequest.counter has half of a surrogate pair; it must be Unicode",
        refused.getMessage());
    assertThrows(IllegalArgumentException.class, () -> Requests.complete(batch, ""));
  }

  @Test
  void takesTextBeyondTheFirstPlane() {
    IncrementRequest request = IncrementRequest.newBuilder().setCounter("\ud83d\ude00").build();
    assertEquals("\ud83d\ude00", Requests.complete(request, "").getCounter());
  }

  /** A response that can be a replay is that of a mutation. */
  @ParameterizedTest
  @MethodSource("methods")
  void makesRequestIdsForMutationsAlone(MethodDescriptor method) {
    boolean isMutation = method.getOutputType().findFieldByName("replayed") != null;
    DynamicMessage complete = Requests.complete(DynamicMessage.getDefaultInstance(method.getInputType()), "shop");
    assertEquals(!isMutation, Requests.requestId(complete).isEmpty());
  }

  static Stream<MethodDescriptor> methods() {
    return Stream.of(
            BatchProto.getDescriptor(),
            CounterProto.getDescriptor(),
            InventoryProto.getDescriptor(),
            LedgerProto.getDescriptor(),
            NamespaceProto.getDescriptor(),
            ReservationProto.getDescriptor(),
            ServerProto.getDescriptor())
        .flatMap(file -> file.getServices().stream())
        .flatMap(service -> service.getMethods().stream());
  }
}
