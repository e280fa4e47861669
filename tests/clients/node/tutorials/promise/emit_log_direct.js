#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 4: publishes a log line with its severity as the routing key.

const amqp = require('amqplib');

const exchange = 'direct_logs';
const args = process.argv.slice(2);
const severity = args.length > 0 ? args[0] : 'info';
const text = args.slice(1).join(' ') || 'Hello World!';

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    await channel.assertExchange(exchange, 'direct', { durable: false });
    channel.publish(exchange, severity, Buffer.from(text));
    console.log(" [x] Sent %s: '%s'", severity, text);
    await channel.close();
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
