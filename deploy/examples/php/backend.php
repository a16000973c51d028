<?php
// A chat behind the bridge's `[forward.chat]`, in one file, on PHP's own functions alone (8.1 or newer).
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. The bridge's deploy/examples/README.md explains it step by step.
//
//   WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... PHP_CLI_SERVER_WORKERS=4 php -S 0.0.0.0:9000 backend.php

declare(strict_types=1);

const LARGEST_BODY = 8_000_000;
const TOLERANCE_SECONDS = 5 * 60; // how far the bridge's clock and ours may be apart: what is older was replayed
const BANNED = ['mallory'];

ini_set('display_errors', 'stderr'); // never into an answer

// --- what the hub does: throw Refusal to say no; its text is for the client

class Refusal extends Exception
{
}

function call(array $event): array
{
    return match ($event['event']) {
        'join' => move($event, 'add', 'has joined'),
        'leave' => move($event, 'remove', 'has left'),
        'broadcast' => broadcast($event),
        'who' => who($event),
        'announce' => announce($event),
        default => throw new Refusal('There is no such method.'),
    };
}

// A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
function move(array $event, string $action, string $verb): array
{
    $room = wanted($event, 0, 'room');
    $text = name($event) . " $verb $room";
    return ['result' => $room, 'outputs' => [
        ['action' => $action, 'groupName' => $room, 'connectionId' => $event['connectionId']],
        ['target' => 'newMessage', 'groupName' => $room, 'arguments' => ['room', $text]],
    ]];
}

// await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
function broadcast(array $event): array
{
    $message = ['target' => 'newMessage', 'arguments' => [name($event), wanted($event, 0, 'text')]];
    if (isset($event['arguments'][1])) {
        $message['groupName'] = wanted($event, 1, 'room');
    }
    return ['result' => 'sent', 'outputs' => [$message]];
}

// Which of these users are here? The bridge knows: PHP itself forgets everything between two requests.
function who(array $event): array
{
    $count = count($event['arguments']);
    if ($count < 1 || $count > 10) {
        throw new Refusal('Ask for 1 to 10 users.');
    }
    $here = [];
    for ($index = 0; $index < $count; $index++) {
        $user = wanted($event, $index, 'user');
        $status = bridge('GET', '/hubs/' . rawurlencode($event['hub']) . '/users/' . rawurlencode($user));
        if (!in_array($status, [200, 400, 404], true)) {
            throw new RuntimeException("the bridge answered $status");
        }
        if ($status === 200) { // 404: is not here; 400: nobody can have such a name
            $here[] = $user;
        }
    }
    return ['result' => $here];
}

// Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
function announce(array $event): array
{
    $message = ['target' => 'newMessage', 'arguments' => ['announcement', wanted($event, 0, 'text')]];
    $status = bridge('POST', '/hubs/' . rawurlencode($event['hub']) . '/send', $message);
    if ($status !== 202) {
        throw new RuntimeException("the bridge answered $status");
    }
    return ['result' => 'announced'];
}

function name(array $event): string
{
    return $event['userId'] ?? 'somebody';
}

function wanted(array $event, int $index, string $what): string
{
    $value = $event['arguments'][$index] ?? null;
    if (!is_string($value) || trim($value) === '') {
        throw new Refusal("The $what is empty.");
    }
    return $value;
}

function bridge(string $method, string $path, ?array $item = null): int
{
    $key = getenv('BRIDGE_API_KEY'); // one of its BRIDGE_CALLERS__KEYS
    $options = [
        'method' => $method,
        'header' => ["X-API-Key: $key", 'Content-Type: application/json'],
        'content' => $item === null ? '' : json_encode($item, JSON_THROW_ON_ERROR),
        'ignore_errors' => true, // a 404 is an answer
        'follow_location' => 0,
        'timeout' => 5,
    ];
    $url = (getenv('BRIDGE_URL') ?: 'http://localhost:8080') . $path;
    $stream = fopen($url, 'r', false, stream_context_create(['http' => $options]));
    if ($stream === false) {
        throw new RuntimeException('the bridge gave no answer');
    }
    $line = stream_get_meta_data($stream)['wrapper_data'][0]; // HTTP/1.1 202 Accepted
    return (int) explode(' ', $line)[1];
}

// --- HTTP

function answer(): void
{
    if ($_SERVER['REQUEST_METHOD'] === 'GET' && $_SERVER['REQUEST_URI'] === '/health') {
        http_response_code(204);
        return;
    }
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        http_response_code(405);
        return;
    }
    $body = file_get_contents('php://input');
    if (strlen($body) > LARGEST_BODY || (int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > LARGEST_BODY) {
        http_response_code(413);
        return;
    }
    if (!is_signed($body)) {
        http_response_code(401);
        return;
    }
    $event = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    if ($event['category'] === 'connections') {
        connection($event);
        return;
    }
    try {
        write(200, 'application/json', call($event));
    } catch (Refusal $refusal) {
        refuse(422, $refusal->getMessage());
    }
}

function connection(array $event): void
{
    error_log($event['event'] . ': ' . name($event));
    if ($event['event'] === 'connected' && in_array($event['userId'], BANNED, true)) {
        refuse(403, 'You are banned.');
        return;
    }
    http_response_code(204);
}

// 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail.
function refuse(int $status, string $detail): void
{
    write($status, 'application/problem+json', ['title' => 'Refused', 'status' => $status, 'detail' => $detail]);
}

function write(int $status, string $type, array $body): void
{
    $text = json_encode($body, JSON_THROW_ON_ERROR);
    http_response_code($status);
    header("Content-Type: $type");
    echo $text;
}

// --- the signature: https://www.standardwebhooks.com

function is_signed(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
    if ($id === '' || preg_match('/^[0-9]{1,12}$/D', $timestamp) !== 1) {
        return false;
    }
    if (abs(time() - (int) $timestamp) > TOLERANCE_SECONDS) {
        return false;
    }
    $hmac = hash_hmac('sha256', "$id.$timestamp.$body", read_secret((string) getenv('WEBHOOK_SECRET')), true);
    $expected = 'v1,' . base64_encode($hmac);
    // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
    foreach (explode(' ', $signatures) as $one) {
        if (hash_equals($expected, $one)) { // in constant time
            return true;
        }
    }
    return false;
}

function read_secret(string $text): string
{
    if (preg_match('~^whsec_([A-Za-z0-9+/]{32,}={0,2})$~D', $text, $match) !== 1) {
        throw new RuntimeException(
            "WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes"
        );
    }
    return base64_decode($match[1]);
}

// --- start: this runs once for every request

try {
    answer();
} catch (Throwable $error) {
    error_log((string) $error); // the client gets a general sentence, the log the rest
    http_response_code(500);
}
