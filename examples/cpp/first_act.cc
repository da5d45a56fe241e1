// Sells three copies of a book, is refused the fourth, and counts an order once that was sent twice.
//
// The address of the server is the first argument, or TALLYKEEPER_ADDRESS, or 127.0.0.1:50051.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>

#include "google/rpc/error_info.pb.h"
#include "tallykeeper/v1/batch.pb.h"
#include "tallykeeper/v1/counter.grpc.pb.h"
#include "tallykeeper/v1/inventory.grpc.pb.h"

namespace v1 = tallykeeper::v1;

constexpr std::int64_t kCopies = 3;
constexpr std::chrono::seconds kTimeout(5);

// Returns 32 random hexadecimal digits: a request id that no request has had.
std::string RandomId() {
  std::random_device random;
  std::ostringstream digits;
  digits << std::hex;
  for (int digit = 0; digit < 32; ++digit) digits << (random() & 0xF);
  return digits.str();
}

// Connects with the retries that all clients of Tallykeeper share. They need a request id in every change.
std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  std::ifstream file(SERVICE_CONFIG);
  std::string service_config((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(service_config);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// The details of an error: tallykeeper.v1.Status has the same bytes as google.rpc.Status.
template <typename Detail>
bool Find(const grpc::Status& status, Detail* detail) {
  v1::Status details;
  if (!details.ParseFromString(status.error_details())) return false;
  for (const auto& each : details.details()) {
    if (each.UnpackTo(detail)) return true;
  }
  return false;
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  return Find(status, &info) && info.domain() == "tallykeeper.io" ? info.reason() : "";
}

// Ends the program with an error that it does not expect.
void Check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

class Shop {
 public:
  explicit Shop(const std::string& address)
      : channel_(Connect(address)),
        counters_(v1::CounterService::NewStub(channel_)),
        inventory_(v1::InventoryService::NewStub(channel_)),
        namespace_("example-" + RandomId()) {}

  void SetStock(const std::string& item, std::int64_t on_hand) {
    v1::SetStockRequest request = Change<v1::SetStockRequest>();
    request.set_item(item);
    request.set_on_hand(on_hand);
    v1::SetStockResponse response;
    grpc::ClientContext context;
    Check(inventory_->SetStock(InTime(&context), request, &response));
  }

  grpc::Status TakeCopy(const std::string& item, v1::DecrementCopiesResponse* response) {
    v1::DecrementCopiesRequest request = Change<v1::DecrementCopiesRequest>();
    request.set_item(item);
    grpc::ClientContext context;
    return inventory_->DecrementCopies(InTime(&context), request, response);
  }

  v1::IncrementRequest Order() {
    v1::IncrementRequest request = Change<v1::IncrementRequest>();
    request.set_counter("orders");
    return request;
  }

  v1::IncrementResponse Send(const v1::IncrementRequest& request) {
    v1::IncrementResponse response;
    grpc::ClientContext context;
    Check(counters_->Increment(InTime(&context), request, &response));
    return response;
  }

 private:
  // Returns a request with the namespace and a fresh request id, which a retry repeats.
  template <typename Request>
  Request Change() {
    Request request;
    request.set_namespace_(namespace_);
    request.set_request_id(RandomId());
    return request;
  }

  static grpc::ClientContext* InTime(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + kTimeout);
    return context;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::CounterService::Stub> counters_;
  std::unique_ptr<v1::InventoryService::Stub> inventory_;
  std::string namespace_;
};

void Play(const std::string& address) {
  Shop shop(address);
  shop.SetStock("dune", kCopies);
  for (std::int64_t sold = 1;; ++sold) {
    v1::DecrementCopiesResponse response;
    grpc::Status status = shop.TakeCopy("dune", &response);
    if (ReasonOf(status) == "INSUFFICIENT_STOCK") {
      v1::Shortages detail;
      Find(status, &detail);
      std::cout << "sold out: INSUFFICIENT_STOCK, " << detail.shortages(0).available() << " available\n";
      break;
    }
    Check(status);
    std::cout << "sold " << sold << " of " << kCopies << ", " << response.stock_level().available() << " left\n";
  }

  v1::IncrementRequest order = shop.Order();
  shop.Send(order);
  v1::IncrementResponse again = shop.Send(order);
  std::cout << std::boolalpha << "retried with the same request id: counter " << again.counter().value()
            << ", replayed " << again.replayed() << "\n";
}

int main(int argc, char** argv) {
  const char* named = std::getenv("TALLYKEEPER_ADDRESS");
  try {
    Play(argc > 1 ? argv[1] : named != nullptr ? named : "127.0.0.1:50051");
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
