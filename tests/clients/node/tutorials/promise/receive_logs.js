#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 3: prints every log line, through a queue that the server names.

const amqp = require('amqplib');

const exchange = 'logs';

(async () => {
  try {
    const connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    process.once('SIGINT', async () => {
      await channel.close();
      await connection.close();
    });

    await channel.assertExchange(exchange, 'fanout', { durable: false });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, '');
    await channel.consume(queue, (message) => {
      console.log(" [x] %s", message.content.toString());
    }, { noAck: true });

    console.log(" [*] Waiting for messages in %s. To exit press CTRL+C", queue);
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  }
})();
