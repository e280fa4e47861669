#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 4: prints the log lines of the severities given.

const amqp = require('amqplib');

const exchange = 'direct_logs';
const keys = process.argv.slice(2);
if (keys.length < 1) {
  console.warn('Usage: receive_logs_direct.js KEY...');
  process.exit(1);
}

(async () => {
  try {
    const connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    process.once('SIGINT', async () => {
      await channel.close();
      await connection.close();
    });

    await channel.assertExchange(exchange, 'direct', { durable: false });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
    await channel.consume(queue, (message) => {
      console.log(" [x] %s: '%s'", message.fields.routingKey, message.content.toString());
    }, { noAck: true });

    console.log(" [*] Waiting for logs. To exit press CTRL+C");
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  }
})();
