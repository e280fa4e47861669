<?php
// SPDX-License-Identifier: Apache-2.0
// What a php-amqplib application relies on beyond the tutorials; prints "ok - CHECK" for each check.
require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPBasicCancelException;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPAbstractCollection as Type;
use PhpAmqpLib\Wire\AMQPArray;
use PhpAmqpLib\Wire\AMQPDecimal;
use PhpAmqpLib\Wire\AMQPTable;

const PATIENCE_S = 30;

function fail($text)
{
    fwrite(STDERR, "failed: $text\n");
    exit(1);
}

function equal($what, $got, $wanted)
{
    if ($got !== $wanted) {
        fail("$what: got " . var_export($got, true) . ', wanted ' . var_export($wanted, true));
    }
}

function ownQueue($channel)
{
    $name = uniqid('tokki-php-', true);
    $channel->queue_declare($name, false, false, true, false);
    return $name;
}

function length($channel, $queue)
{
    list(, $count,) = $channel->queue_declare($queue, true);
    return $count;
}

function publish($channel, $queue, $body)
{
    $channel->basic_publish(new AMQPMessage($body), '', $queue);
}

function get($channel, $queue, $body, $redelivered)
{
    $message = $channel->basic_get($queue);
    equal('body', $message->body, $body);
    equal("redelivered flag of $body", (bool) $message->isRedelivered(), $redelivered);
    return $message;
}

function publisherConfirms($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $confirmed = 0;
    $channel->set_ack_handler(function () use (&$confirmed) {
        $confirmed++;
    });
    $channel->confirm_select();
    for ($i = 0; $i < 100; $i++) {
        publish($channel, $queue, (string) $i);
    }
    $channel->wait_for_pending_acks(PATIENCE_S);
    equal('confirmed messages', $confirmed, 100);
    equal('messages after 100 confirms', length($channel, $queue), 100);
    $channel->close();
}

function mandatoryReturn($connection)
{
    $channel = $connection->channel();
    $events = array();
    $channel->set_return_listener(function ($code, $text, $exchange, $key, $message) use (&$events) {
        $events[] = "$code $text $exchange $key $message->body";
    });
    $channel->set_ack_handler(function () use (&$events) {
        $events[] = 'confirm';
    });
    $channel->confirm_select();
    $channel->basic_publish(new AMQPMessage('lost'), 'amq.direct', 'tokki-nowhere', true);
    $channel->wait_for_pending_acks_returns(PATIENCE_S);
    equal('events', $events, array('312 NO_ROUTE amq.direct tokki-nowhere lost', 'confirm'));
    $channel->close();
}

function nackAndRequeue($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    foreach (array('a', 'b', 'c') as $body) {
        publish($channel, $queue, $body);
    }
    $a = get($channel, $queue, 'a', false);
    $b = get($channel, $queue, 'b', false);
    $a->nack(true);
    $a = get($channel, $queue, 'a', true);
    $b->reject(false);
    $a->nack(false, true);
    get($channel, $queue, 'c', false)->ack();
    equal('get from the empty queue', $channel->basic_get($queue), null);
    $channel->close();
}

function prefetch($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    for ($i = 0; $i < 5; $i++) {
        publish($channel, $queue, (string) $i);
    }
    $got = array();
    $channel->basic_qos(0, 2, false);
    $channel->basic_consume($queue, '', false, false, false, false, function ($message) use (&$got) {
        $got[] = $message;
    });
    while (count($got) < 2) {
        $channel->wait(null, false, PATIENCE_S);
    }
    equal('messages behind a prefetch of 2', length($channel, $queue), 3);
    equal('deliveries', count($got), 2);
    $got[0]->ack();
    while (count($got) < 3) {
        $channel->wait(null, false, PATIENCE_S);
    }
    equal('third message', $got[2]->body, '2');
    $channel->close();
}

function propertiesAndHeaderTypes($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    // All but float and double, which this client reads but cannot send; it reads a bool as 0 or 1.
    $values = array(
        'bool' => array(Type::T_BOOL, 1), 'no' => array(Type::T_BOOL, 0),
        'int8' => array(Type::T_INT_SHORTSHORT, -8), 'uint8' => array(Type::T_INT_SHORTSHORT_U, 200),
        'int16' => array(Type::T_INT_SHORT, -1600), 'uint16' => array(Type::T_INT_SHORT_U, 60000),
        'int32' => array(Type::T_INT_LONG, -320000), 'uint32' => array(Type::T_INT_LONG_U, 4000000000),
        'int64' => array(Type::T_INT_LONGLONG, -(1 << 45)),
        'text' => array(Type::T_STRING_LONG, 'grüße 한국어'), 'empty' => array(Type::T_STRING_LONG, ''),
        'time' => array(Type::T_TIMESTAMP, 1700000000), 'void' => array(Type::T_VOID, null),
        'bytes' => array(Type::T_BYTES, "\0\xff"),
    );
    $headers = new AMQPTable();
    foreach ($values as $key => list($type, $value)) {
        $headers->set($key, $value, $type);
    }
    $headers->set('decimal', new AMQPDecimal(314, 2), Type::T_DECIMAL);
    $headers->set('array', new AMQPArray(array(1, 'two', null)), Type::T_ARRAY);
    $headers->set('table', new AMQPTable(array('inner' => array('deep' => 'value'))), Type::T_TABLE);
    $properties = array(
        'content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 2,
        'priority' => 9, 'correlation_id' => 'c-1', 'reply_to' => 'r-1', 'expiration' => '60000',
        'message_id' => 'm-1', 'timestamp' => 1700000000, 'type' => 't-1', 'user_id' => 'guest',
        'app_id' => 'a-1', 'cluster_id' => 'k-1',
    );
    $message = new AMQPMessage('body', $properties + array('application_headers' => $headers));
    $channel->basic_publish($message, '', $queue);
    $message = get($channel, $queue, 'body', false);
    foreach ($properties as $key => $value) {
        equal("property $key", $message->get($key), $value);
    }
    $got = array();
    foreach ($message->get('application_headers') as $key => list($type, $value)) {
        $got[$key] = array($type, $value);
    }
    foreach ($values as $key => $value) {
        equal("header $key", $got[$key], $value);
    }
    $decimal = $got['decimal'][1];
    equal('header decimal', array($decimal->getN(), $decimal->getE()), array(314, 2));
    equal('header array', $got['array'][1]->getNativeData(), array(1, 'two', null));
    equal('header table', $got['table'][1]->getNativeData(), array('inner' => array('deep' => 'value')));
    equal('number of headers', count($got), count($values) + 3);
    $channel->close();
}

function largeBodies($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    foreach (array(0, 1, 1 << 20, 5 << 20) as $size) {
        $body = substr(str_repeat(implode('', array_map('chr', range(0, 250))), intdiv($size, 251) + 1), 0, $size);
        publish($channel, $queue, $body);
        $got = $channel->basic_get($queue, true)->body;
        if ($got !== $body) {
            fail("a body of $size octets came back with " . strlen($got) . ', or changed');
        }
    }
    $channel->close();
}

function consumerCancelNotification($connection)
{
    $channel = $connection->channel();
    $other = $connection->channel();
    $queue = ownQueue($channel);
    $channel->basic_consume($queue, 'the-consumer', false, true, false, false, function () {
    });
    $other->queue_delete($queue);
    try {
        $channel->wait(null, false, PATIENCE_S);
        fail('no cancel notification');
    } catch (AMQPBasicCancelException $e) {
        equal('cancelled consumer', $e->consumerTag, 'the-consumer');
    }
    $other->close();
    $channel->close();
}

function transactions($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $channel->tx_select();
    publish($channel, $queue, 'kept');
    equal('messages before the commit', length($channel, $queue), 0);
    $channel->tx_commit();
    equal('messages after the commit', length($channel, $queue), 1);
    publish($channel, $queue, 'dropped');
    $channel->tx_rollback();
    equal('messages after the rollback', length($channel, $queue), 1);
    $channel->close();
}

function directReplyTo($connection)
{
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $answers = array();
    $channel->basic_consume('amq.rabbitmq.reply-to', '', false, true, false, false, function ($message) use (&$answers) {
        $answers[] = $message->body;
    });
    $channel->basic_publish(new AMQPMessage('question', array('reply_to' => 'amq.rabbitmq.reply-to')), '', $queue);
    publish($channel, $channel->basic_get($queue, true)->get('reply_to'), 'answer');
    while (!$answers) {
        $channel->wait(null, false, PATIENCE_S);
    }
    equal('answers', $answers, array('answer'));
    $channel->close();
}

function channelError($connection)
{
    $channel = $connection->channel();
    try {
        $channel->queue_declare('tokki-missing', true);
        fail('a passive declare of a missing queue succeeded');
    } catch (AMQPProtocolChannelException $e) {
        equal('channel error', array($e->getCode(), $e->getMessage()),
            array(404, "NOT_FOUND - no queue 'tokki-missing' in vhost '/'"));
    }
    $next = $connection->channel(); // the connection is still good
    ownQueue($next);
    $next->close();
}

function connectionError($connection)
{
    $channel = $connection->channel();
    try {
        $channel->basic_qos(1, 0, false);
        fail('a prefetch size was accepted');
    } catch (AMQPConnectionClosedException $e) {
        equal('connection error', array($e->getCode(), $e->getMessage()),
            array(540, 'NOT_IMPLEMENTED - prefetch_size!=0 (1)(60, 10)'));
    }
}

$connection = new AMQPStreamConnection(getenv('AMQP_HOST'), getenv('AMQP_PORT'), 'guest', 'guest');
foreach (array(
    'publisher confirms' => 'publisherConfirms',
    'mandatory return' => 'mandatoryReturn',
    'nack and requeue' => 'nackAndRequeue',
    'prefetch' => 'prefetch',
    'properties and header types' => 'propertiesAndHeaderTypes',
    'large bodies' => 'largeBodies',
    'consumer cancel notification' => 'consumerCancelNotification',
    'transactions' => 'transactions',
    'direct reply-to' => 'directReplyTo',
    'channel error' => 'channelError',
    'connection error' => 'connectionError',
) as $name => $check) {
    $check($connection);
    echo "ok - $name\n";
}
