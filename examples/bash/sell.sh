#!/usr/bin/env bash
# Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once, with curl and jq.
#
# It calls the HTTP port of the server, which speaks the Connect protocol: POST, JSON in, JSON out. The first argument,
# or TALLYKEEPER_HTTP_ADDRESS, names another server than 127.0.0.1:50080.
set -euo pipefail

address=${1:-${TALLYKEEPER_HTTP_ADDRESS:-127.0.0.1:50080}}
copies=3

new_id() {
  if command -v uuidgen >/dev/null; then uuidgen; else cat /proc/sys/kernel/random/uuid; fi
}

# A fresh namespace: the example can run twice.
namespace=example-$(new_id)

# call METHOD JSON sends a request and prints the response, or the error. It fails if the answer is an error. After a
# failure that may pass, curl sends the same request again; as its request id is the same, it counts once.
call() {
  local answer status
  answer=$(curl --silent --show-error --max-time 5 --retry 4 --retry-connrefused \
    --header 'content-type: application/json' --header 'connect-protocol-version: 1' \
    --write-out '\n%{http_code}' --data "$2" "http://$address/tallykeeper.v1.$1") || exit
  status=${answer##*$'\n'}
  printf '%s\n' "${answer%$'\n'*}"
  [ "$status" = 200 ]
}

# error_info ERROR FILTER prints a value of an error's google.rpc.ErrorInfo.
error_info() {
  jq --raw-output "first(.details[]? | select(.type == \"google.rpc.ErrorInfo\") | .debug) | $2" <<<"$1"
}

# fail ERROR ends the example with an error that it does not expect.
fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# request NAME VALUE … prints a JSON object in which all values are texts, with the namespace and a fresh request id
# unless one is given. The JSON of protobuf takes a text for an integer too.
request() {
  jq --null-input --compact-output --arg namespace "$namespace" --arg id "$(new_id)" \
    '$ARGS.positional as $pairs
     | reduce range(0; $pairs | length; 2) as $index ({namespace: $namespace, requestId: $id};
         . + {($pairs[$index]): $pairs[$index + 1]})' --args "$@"
}

stock=$(call InventoryService/SetStock "$(request item dune onHand "$copies")") || fail "$stock"
sold=0
while sale=$(call InventoryService/DecrementCopies "$(request item dune copies 1)"); do
  sold=$((sold + $(jq --raw-output .copiesTaken <<<"$sale")))
  echo "sold $sold of $copies, $(jq --raw-output '.stockLevel.available // 0' <<<"$sale") left"
done
reason=$(error_info "$sale" .reason)
[ "$reason" = INSUFFICIENT_STOCK ] || fail "$sale"
echo "sold out: $reason, $(error_info "$sale" .metadata.available) available"

# The same request twice, as a program does that has crashed before it saw the first answer.
order=$(request counter orders)
first=$(call CounterService/Increment "$order") || fail "$first"
second=$(call CounterService/Increment "$order") || fail "$second"
echo "retried with the same request id: counter $(jq --raw-output .counter.value <<<"$second")," \
  "replayed $(jq --raw-output '.replayed // false' <<<"$second")"
