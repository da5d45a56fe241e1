<?php

// Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once.
//
// It needs PHP 8.1 or newer and no package: it calls the HTTP port of the server, which speaks the Connect protocol
// (POST, JSON in, JSON out). Start it with `php examples/php/sell.php`. The first argument, or
// TALLYKEEPER_HTTP_ADDRESS, names another server than 127.0.0.1:50080.

declare(strict_types=1);

const COPIES = 3;
const ATTEMPTS_MAX = 5;
const TIMEOUT_SECONDS = 5;
const BACKOFF_SECONDS = 0.2;
const BACKOFF_MULTIPLIER = 2.5;

/** An error that the server has answered with. */
final class TallykeeperError extends RuntimeException
{
    /** @param array<string, string> $values the values that belong to the reason */
    public function __construct(
        public readonly string $errorCode,
        public readonly string $reason,
        public readonly array $values,
        string $message,
    ) {
        parent::__construct($message);
    }

    /** Reads the JSON of an error: its google.rpc.ErrorInfo has the reason and the values. */
    public static function of(string $body): self
    {
        $error = json_decode($body, true) ?? [];
        $reason = '';
        $values = [];
        foreach ($error['details'] ?? [] as $detail) {
            if ($detail['type'] === 'google.rpc.ErrorInfo') {
                $reason = $detail['debug']['reason'];
                $values = $detail['debug']['metadata'] ?? [];
            }
        }
        return new self($error['code'] ?? 'unknown', $reason, $values, $error['message'] ?? $body);
    }
}

/** Returns an id that nobody has used. */
function new_id(): string
{
    return bin2hex(random_bytes(16));
}

/** Calls methods of the server in a namespace. */
final class Client
{
    public function __construct(private readonly string $address, private readonly string $namespace)
    {
    }

    /**
     * Sends a mutation until it is answered. Every attempt has the same request id, so it counts once.
     *
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     */
    public function mutate(string $method, array $request): array
    {
        $request += ['namespace' => $this->namespace, 'requestId' => new_id()];
        $pause = BACKOFF_SECONDS;
        for ($attempt = 1; ; $attempt++) {
            try {
                return $this->send($method, json_encode($request, JSON_THROW_ON_ERROR));
            } catch (TallykeeperError $error) {
                if ($error->errorCode !== 'unavailable' || $attempt === ATTEMPTS_MAX) {
                    throw $error;
                }
            }
            usleep((int) ($pause * 1_000_000));
            $pause *= BACKOFF_MULTIPLIER;
        }
    }

    /** @return array<string, mixed> */
    private function send(string $method, string $body): array
    {
        $context = stream_context_create(['http' => [
            'method' => 'POST',
            'header' => "Content-Type: application/json\r\nConnect-Protocol-Version: 1",
            'content' => $body,
            'timeout' => TIMEOUT_SECONDS,
            'ignore_errors' => true,
        ]]);
        $stream = @fopen("http://{$this->address}/tallykeeper.v1.$method", 'r', false, $context);
        if ($stream === false) {
            throw new TallykeeperError('unavailable', '', [], "no Tallykeeper server answers at {$this->address}");
        }
        $statusLine = stream_get_meta_data($stream)['wrapper_data'][0];
        $answer = stream_get_contents($stream);
        if (!str_contains($statusLine, ' 200 ')) {
            throw TallykeeperError::of((string) $answer);
        }
        return json_decode((string) $answer, true, flags: JSON_THROW_ON_ERROR);
    }
}

/** Takes one copy after the other until none is left. */
function sell_out(Client $client): void
{
    $client->mutate('InventoryService/SetStock', ['item' => 'dune', 'onHand' => COPIES]);
    $sold = 0;
    try {
        while (true) {
            $response = $client->mutate('InventoryService/DecrementCopies', ['item' => 'dune']);
            $sold += (int) $response['copiesTaken'];
            $left = (int) ($response['stockLevel']['available'] ?? 0);
            printf("sold %d of %d, %d left\n", $sold, COPIES, $left);
        }
    } catch (TallykeeperError $error) {
        if ($error->reason !== 'INSUFFICIENT_STOCK') {
            throw $error;
        }
        printf("sold out: %s, %s available\n", $error->reason, $error->values['available']);
    }
}

/** Sends the same increment twice, as a program does that has crashed before it saw the first answer. */
function count_once(Client $client): void
{
    $request = ['counter' => 'orders', 'requestId' => new_id()];
    $client->mutate('CounterService/Increment', $request);
    $repeated = $client->mutate('CounterService/Increment', $request);
    printf(
        "retried with the same request id: counter %s, replayed %s\n",
        $repeated['counter']['value'],
        ($repeated['replayed'] ?? false) ? 'true' : 'false',
    );
}

$address = $argv[1] ?? (getenv('TALLYKEEPER_HTTP_ADDRESS') ?: '127.0.0.1:50080');
// A fresh namespace: the example can run twice.
$client = new Client($address, 'example-' . new_id());
sell_out($client);
count_once($client);
