#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 1: sends one message to the queue "hello".

const amqp = require('amqplib');

const queue = 'hello';
const text = 'Hello World!';

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    await channel.assertQueue(queue, { durable: false });
    channel.sendToQueue(queue, Buffer.from(text));
    console.log(" [x] Sent %s", text);
    await channel.close();
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
