#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 2: works on tasks, one second for each dot, and acknowledges each.

const amqp = require('amqplib');

const queue = 'task_queue';

(async () => {
  try {
    const connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    process.once('SIGINT', async () => {
      await channel.close();
      await connection.close();
    });

    await channel.assertQueue(queue, { durable: true });
    await channel.prefetch(1);
    await channel.consume(queue, (message) => {
      const text = message.content.toString();
      const seconds = text.split('.').length - 1;
      console.log(" [x] Received %s", text);
      setTimeout(() => {
        console.log(" [x] Done");
        channel.ack(message);
      }, seconds * 1000);
    }, { noAck: false });

    console.log(" [*] Waiting for messages in %s. To exit press CTRL+C", queue);
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  }
})();
