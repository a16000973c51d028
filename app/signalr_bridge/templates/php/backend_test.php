<?php
// The backend as the bridge sees it: events are posted, signed, and its answers are looked at. `php backend_test.php`.

declare(strict_types=1);

$key = random_bytes(32);
$socket = stream_socket_server('tcp://127.0.0.1:0'); // a free port
$port = parse_url('tcp://' . stream_socket_get_name($socket, false), PHP_URL_PORT);
fclose($socket);
$environment = ['WEBHOOK_SECRET' => 'whsec_' . base64_encode($key)] + getenv();
$command = [PHP_BINARY, '-S', "127.0.0.1:$port", __DIR__ . '/backend.php'];
$backend = proc_open($command, [['null'], ['null'], ['null']], $pipes, __DIR__, $environment);
register_shutdown_function(fn () => proc_terminate($backend));
for ($tries = 0; @fsockopen('127.0.0.1', $port) === false; $tries++) {
    if ($tries === 200) {
        fwrite(STDERR, "the backend does not start\n");
        exit(1);
    }
    usleep(50_000);
}

function post(array $event, string $key): array
{
    global $port;
    $body = json_encode($event + ['hub' => 'chat', 'category' => 'messages', 'connectionId' => 'c1', 'userId' => 'ann']);
    $timestamp = time();
    $signature = base64_encode(hash_hmac('sha256', "msg_1.$timestamp.$body", $key, true));
    $options = ['method' => 'POST', 'content' => $body, 'ignore_errors' => true, 'header' => [
        'Content-Type: application/json',
        'webhook-id: msg_1',
        "webhook-timestamp: $timestamp",
        "webhook-signature: v1,$signature",
    ]];
    $stream = fopen("http://127.0.0.1:$port/signalr", 'r', false, stream_context_create(['http' => $options]));
    $status = (int) explode(' ', stream_get_meta_data($stream)['wrapper_data'][0])[1];
    return [$status, json_decode(stream_get_contents($stream), true)];
}

function check(string $what, array $got, array $wanted): void
{
    if ($got !== $wanted) {
        fwrite(STDERR, "$what: " . json_encode($got) . "\n");
        exit(1);
    }
    echo "ok: $what\n";
}

[$status, $answer] = post(['event' => 'broadcast', 'arguments' => ['hello']], $key);
check('a text reaches everybody', [$status, $answer], [200, [
    'result' => 'sent',
    'outputs' => [['target' => 'newMessage', 'arguments' => ['ann', 'hello']]],
]]);

[$status, $answer] = post(['event' => 'broadcast', 'arguments' => ['']], $key);
check('an empty text is refused with a reason', [$status, $answer['detail']], [422, 'The text is empty.']);

[$status] = post(['event' => 'broadcast', 'arguments' => ['hello']], random_bytes(32));
check('what the bridge has not signed is not believed', [$status], [401]);
