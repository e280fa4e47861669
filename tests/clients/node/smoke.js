#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What an amqplib application relies on beyond the tutorials; prints "ok - CHECK" for each check.

const amqp = require('amqplib');
const assert = require('assert');
const { randomUUID } = require('crypto');
const { once } = require('events');

let connection;

async function ownQueue(channel) {
  const name = `tokki-amqplib-${randomUUID()}`;
  await channel.assertQueue(name, { exclusive: true });
  return name;
}

// An array of deliveries with a way to wait for the n-th.
class Deliveries {
  constructor() {
    this.list = [];
    this.waiting = [];
    this.take = (message) => {
      this.list.push(message);
      this.waiting = this.waiting.filter(({ count, resolve }) => {
        if (this.list.length < count) return true;
        resolve();
        return false;
      });
    };
  }

  reach(count) {
    if (this.list.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push({ count, resolve }));
  }
}

async function publisherConfirms() {
  const channel = await connection.createConfirmChannel();
  const queue = await ownQueue(channel);
  let confirmed = 0;
  for (let i = 0; i < 100; i++) {
    channel.sendToQueue(queue, Buffer.from(`${i}`), {}, (err) => {
      assert.ifError(err);
      confirmed++;
    });
  }
  await channel.waitForConfirms();
  assert.strictEqual(confirmed, 100);
  assert.strictEqual((await channel.checkQueue(queue)).messageCount, 100);
  await channel.close();
}

async function mandatoryReturn() {
  const channel = await connection.createConfirmChannel();
  const events = [];
  channel.on('return', (message) => events.push(message));
  channel.publish('amq.direct', 'tokki-nowhere', Buffer.from('lost'), { mandatory: true },
    () => events.push('confirm'));
  await channel.waitForConfirms();
  assert.strictEqual(events.length, 2);
  const [returned, confirm] = events; // the return comes first
  assert.strictEqual(confirm, 'confirm');
  assert.strictEqual(returned.fields.replyCode, 312);
  assert.strictEqual(returned.fields.replyText, 'NO_ROUTE');
  assert.strictEqual(returned.fields.exchange, 'amq.direct');
  assert.strictEqual(returned.fields.routingKey, 'tokki-nowhere');
  assert.strictEqual(returned.content.toString(), 'lost');
  await channel.close();
}

async function nackAndRequeue() {
  const channel = await connection.createChannel();
  const queue = await ownQueue(channel);
  for (const body of ['a', 'b', 'c']) channel.sendToQueue(queue, Buffer.from(body));
  const get = async (body, redelivered) => {
    const message = await channel.get(queue);
    assert.strictEqual(message.content.toString(), body);
    assert.strictEqual(message.fields.redelivered, redelivered);
    return message;
  };
  const a = await get('a', false);
  const b = await get('b', false);
  channel.nack(a, false, true);
  const again = await get('a', true);
  channel.reject(b, false);
  channel.nack(again, true, false);
  channel.ack(await get('c', false));
  assert.strictEqual(await channel.get(queue), false);
  await channel.close();
}

async function prefetch() {
  const channel = await connection.createChannel();
  const queue = await ownQueue(channel);
  for (let i = 0; i < 5; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  await channel.prefetch(2);
  const got = new Deliveries();
  await channel.consume(queue, got.take);
  await got.reach(2);
  assert.strictEqual((await channel.checkQueue(queue)).messageCount, 3);
  assert.strictEqual(got.list.length, 2);
  channel.ack(got.list[0]);
  await got.reach(3);
  assert.strictEqual(got.list[2].content.toString(), '2');
  await channel.close();
}

// amqplib picks the type of a plain number itself and takes `{'!': type, value}` for the others.
async function propertiesAndHeaderTypes() {
  const channel = await connection.createChannel();
  const queue = await ownQueue(channel);
  const plain = {
    yes: true, no: false, small: 7, negative: -70000, big: 2 ** 40, fraction: 2.5,
    text: 'grüße 한국어', empty: '', bytes: Buffer.from([0, 255]), none: null,
    list: [1, 'two', [false, null], { four: 4 }], table: { inner: { deep: 'value' }, empty: {} }
  };
  const tagged = {
    int8: -8, uint8: 200, int16: -1600, uint16: 60000, int32: -320000, uint32: 4000000000,
    int64: -(2 ** 45), float: 0.5, double: 0.1
  };
  const headers = { ...plain };
  for (const [type, value] of Object.entries(tagged)) headers[type] = { '!': type, value };
  headers.time = { '!': 'timestamp', value: 1700000000 };
  headers.decimal = { '!': 'decimal', value: { places: 2, digits: 314 } };
  const options = {
    contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 9,
    correlationId: 'c-1', replyTo: 'r-1', expiration: '60000', messageId: 'm-1',
    timestamp: 1700000000, type: 't-1', userId: 'guest', appId: 'a-1'
  };
  channel.sendToQueue(queue, Buffer.from('body'), { ...options, headers });
  const { content, properties } = await channel.get(queue, { noAck: true });
  assert.strictEqual(content.toString(), 'body');
  for (const [key, value] of Object.entries(options)) {
    assert.deepStrictEqual(properties[key], value, key);
  }
  const { time, decimal, ...rest } = properties.headers;
  assert.deepStrictEqual(rest, { ...plain, ...tagged });
  assert.strictEqual(time.value, 1700000000);
  assert.deepStrictEqual({ ...decimal.value }, { places: 2, digits: 314 });
  await channel.close();
}

async function largeBodies() {
  const channel = await connection.createConfirmChannel();
  const queue = await ownQueue(channel);
  for (const size of [0, 1, 1 << 20, 5 << 20]) {
    const body = Buffer.alloc(size);
    for (let i = 0; i < size; i++) body[i] = i % 251;
    channel.sendToQueue(queue, body);
    await channel.waitForConfirms();
    const message = await channel.get(queue, { noAck: true });
    assert.ok(body.equals(message.content), `a body of ${size} octets came back changed`);
  }
  await channel.close();
}

async function consumerCancelNotification() {
  const channel = await connection.createChannel();
  const queue = await ownQueue(channel);
  const got = new Deliveries();
  await channel.consume(queue, got.take);
  await channel.deleteQueue(queue);
  await got.reach(1);
  assert.strictEqual(got.list[0], null); // how amqplib tells of basic.cancel
  await channel.close();
}

async function directReplyTo() {
  const asking = await connection.createChannel();
  const serving = await connection.createChannel();
  const queue = await ownQueue(serving);
  const questions = new Deliveries();
  const answers = new Deliveries();
  await serving.consume(queue, questions.take, { noAck: true });
  await asking.consume('amq.rabbitmq.reply-to', answers.take, { noAck: true });
  asking.sendToQueue(queue, Buffer.from('question'), { replyTo: 'amq.rabbitmq.reply-to' });
  await questions.reach(1);
  serving.sendToQueue(questions.list[0].properties.replyTo, Buffer.from('answer'));
  await answers.reach(1);
  assert.strictEqual(answers.list[0].content.toString(), 'answer');
  await asking.close();
  await serving.close();
}

async function channelError() {
  const channel = await connection.createChannel();
  const name = `tokki-missing-${randomUUID()}`;
  const closed = once(channel, 'error');
  await assert.rejects(channel.checkQueue(name));
  const [error] = await closed;
  assert.strictEqual(error.code, 404);
  assert.ok(error.message.includes(`"NOT_FOUND - no queue '${name}' in vhost '/'"`), error.message);
  const next = await connection.createChannel(); // the connection is still good
  await ownQueue(next);
  await next.close();
}

// The text of connection.close: a second consumer with the same tag is a connection error.
async function connectionError() {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  const queue = await ownQueue(channel);
  const closed = once(connection, 'error');
  await channel.consume(queue, () => {}, { consumerTag: 'twice' });
  channel.consume(queue, () => {}, { consumerTag: 'twice' }).catch(() => {});
  const [error] = await closed;
  assert.strictEqual(error.code, 530);
  assert.ok(error.message.includes(`"NOT_ALLOWED - attempt to reuse consumer tag 'twice'"`),
    error.message);
}

(async () => {
  connection = await amqp.connect(process.env.AMQP_URI);
  for (const [name, check] of [
    ['publisher confirms', publisherConfirms],
    ['mandatory return', mandatoryReturn],
    ['nack and requeue', nackAndRequeue],
    ['prefetch', prefetch],
    ['properties and header types', propertiesAndHeaderTypes],
    ['large bodies', largeBodies],
    ['consumer cancel notification', consumerCancelNotification],
    ['direct reply-to', directReplyTo],
    ['channel error', channelError],
    ['connection error', connectionError]
  ]) {
    await check();
    console.log(`ok - ${name}`);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
