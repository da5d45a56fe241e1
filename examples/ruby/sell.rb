# frozen_string_literal: true

# Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once.
#
# In this folder, with the server started by `make run`:
#
#   bundle install
#   mkdir -p generated
#   bundle exec grpc_tools_ruby_protoc -I ../../protos --ruby_out=generated --grpc_out=generated \
#     ../../protos/tallykeeper/v1/*.proto
#   bundle exec ruby sell.rb
#
# On Debian and Ubuntu, the packages ruby-grpc, ruby-grpc-tools and ruby-googleapis-common-protos-types take the place
# of bundle. The first argument, or TALLYKEEPER_ADDRESS, names another server than 127.0.0.1:50051.

$LOAD_PATH.unshift(File.join(__dir__, 'generated'))

require 'securerandom'
require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'grpc'
require 'tallykeeper/v1/counter_services_pb'
require 'tallykeeper/v1/inventory_services_pb'

V1 = Tallykeeper::V1
COPIES = 3
DEADLINE_SECONDS = 5
SERVICE_CONFIG = File.read(File.join(__dir__, '..', '..', 'client', 'service_config.json'))

# How gRPC itself repeats calls while the server is away, with the same bytes and so the same request id.
# A channel that has lost its connection tries again after 0.1 to 0.5 s; by default, it waits for up to two minutes.
CHANNEL = {
  'grpc.service_config' => SERVICE_CONFIG,
  'grpc.initial_reconnect_backoff_ms' => 100,
  'grpc.max_reconnect_backoff_ms' => 500
}.freeze

# Returns the google.rpc.ErrorInfo of an error, which has its reason and its values; nil if it has none.
def error_info(error)
  status = error.to_rpc_status
  detail = status&.details&.find { |each| each.is(Google::Rpc::ErrorInfo) }
  detail&.unpack(Google::Rpc::ErrorInfo)
end

# Takes one copy after the other until none is left.
def sell_out(inventory, namespace)
  inventory.set_stock(
    V1::SetStockRequest.new(namespace: namespace, request_id: SecureRandom.uuid, item: 'dune', on_hand: COPIES)
  )
  sold = 0
  loop do
    request = V1::DecrementCopiesRequest.new(namespace: namespace, request_id: SecureRandom.uuid, item: 'dune')
    response = inventory.decrement_copies(request)
    sold += response.copies_taken
    puts "sold #{sold} of #{COPIES}, #{response.stock_level.available} left"
  end
rescue GRPC::FailedPrecondition => e
  info = error_info(e)
  raise unless info&.reason == 'INSUFFICIENT_STOCK'

  puts "sold out: #{info.reason}, #{info.metadata['available']} available"
end

# Sends the same increment twice, as a program does that has crashed before it saw the first answer.
def count_once(counters, namespace)
  request = V1::IncrementRequest.new(namespace: namespace, request_id: SecureRandom.uuid, counter: 'orders')
  counters.increment(request)
  repeated = counters.increment(request)
  puts "retried with the same request id: counter #{repeated.counter.value}, replayed #{repeated.replayed}"
end

address = ARGV[0] || ENV.fetch('TALLYKEEPER_ADDRESS', '127.0.0.1:50051')
options = { channel_args: CHANNEL, timeout: DEADLINE_SECONDS }
# A fresh namespace: the example can run twice.
namespace = "example-#{SecureRandom.uuid}"
sell_out(V1::InventoryService::Stub.new(address, :this_channel_is_insecure, **options), namespace)
count_once(V1::CounterService::Stub.new(address, :this_channel_is_insecure, **options), namespace)
