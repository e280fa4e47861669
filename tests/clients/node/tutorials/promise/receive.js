#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 1: prints what arrives in the queue "hello".

const amqp = require('amqplib');

const queue = 'hello';

(async () => {
  try {
    const connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    process.once('SIGINT', async () => {
      await channel.close();
      await connection.close();
    });

    await channel.assertQueue(queue, { durable: false });
    await channel.consume(queue, (message) => {
      console.log(" [x] Received %s", message.content.toString());
    }, { noAck: true });

    console.log(" [*] Waiting for messages in %s. To exit press CTRL+C", queue);
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  }
})();
