#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 5: publishes a log line with a key of several words.

const amqp = require('amqplib');

const exchange = 'topic_logs';
const args = process.argv.slice(2);
const key = args.length > 0 ? args[0] : 'anonymous.info';
const text = args.slice(1).join(' ') || 'Hello World!';

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    await channel.assertExchange(exchange, 'topic', { durable: false });
    channel.publish(exchange, key, Buffer.from(text));
    console.log(" [x] Sent %s:'%s'", key, text);
    await channel.close();
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
