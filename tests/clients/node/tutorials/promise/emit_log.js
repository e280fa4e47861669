#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 3: publishes a log line to the fanout exchange "logs".

const amqp = require('amqplib');

const exchange = 'logs';
const text = process.argv.slice(2).join(' ') || 'info: Hello World!';

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    await channel.assertExchange(exchange, 'fanout', { durable: false });
    channel.publish(exchange, '', Buffer.from(text));
    console.log(" [x] Sent %s", text);
    await channel.close();
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
