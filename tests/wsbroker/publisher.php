<?php
// A publisher as application servers have it: plain streams, one read for the answer to the handshake, no goodbye.

function open_topic(int $port, string $topic): mixed
{
    $stream = stream_socket_client("tcp://127.0.0.1:$port", $code, $text, 5);
    stream_set_timeout($stream, 10);
    $lines = [
        'GET /ws?topic=' . rawurlencode($topic) . ' HTTP/1.1',
        'Host: 127.0.0.1',
        'Upgrade: WebSocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16)),
        'Sec-WebSocket-Version: 13',
        'Authorization: Basic ' . base64_encode('shop:shop'),
        'Content-type: application/json',
    ];
    fwrite($stream, implode("\r\n", $lines) . "\r\n\r\n");
    $answer = fread($stream, 1024);
    if (strpos($answer, ' 101 ') === false || strpos($answer, 'Sec-WebSocket-Accept: ') === false) {
        fwrite(STDERR, $answer);
        exit(1);
    }
    return $stream;
}

function send_text(mixed $stream, string $text): void
{
    $mask = random_bytes(4);
    $length = strlen($text);
    $masked = '';
    for ($at = 0; $at < $length; $at++) {
        $masked .= $text[$at] ^ $mask[$at % 4];
    }
    $head = $length < 126 ? chr(0x80 | $length) : chr(0xFE) . pack('n', $length);
    fwrite($stream, chr(0x81) . $head . $mask . $masked);
}

function read_frame(mixed $stream): string
{
    $length = ord(fread($stream, 2)[1]) & 0x7F;
    if ($length == 126) {
        $length = unpack('n', fread($stream, 2))[1];
    }
    $payload = '';
    while (strlen($payload) < $length && !feof($stream)) {
        $payload .= fread($stream, $length - strlen($payload));
    }
    return $payload;
}

[, $port, $topic, $answers] = $argv;
$asking = open_topic((int) $port, $topic);
send_text($asking, '{"command":"get-modem-list","callback_topic":"' . $answers . '"}');
$answer = json_decode(read_frame(open_topic((int) $port, $answers)));
echo $answer->response_code, ' ', strlen($answer->data), "\n";
