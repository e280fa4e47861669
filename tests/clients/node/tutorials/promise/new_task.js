#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 2: queues a persistent task.

const amqp = require('amqplib');

const queue = 'task_queue';
const text = process.argv.slice(2).join(' ') || 'Hello World!';

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    await channel.assertQueue(queue, { durable: true });
    channel.sendToQueue(queue, Buffer.from(text), { persistent: true });
    console.log(" [x] Sent '%s'", text);
    await channel.close();
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
