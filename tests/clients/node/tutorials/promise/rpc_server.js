#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 6: answers requests for Fibonacci numbers.

const amqp = require('amqplib');

const queue = 'rpc_queue';

(async () => {
  try {
    const connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();

    process.once('SIGINT', async () => {
      await channel.close();
      await connection.close();
    });

    await channel.assertQueue(queue, { durable: false });
    channel.prefetch(1);
    await channel.consume(queue, (message) => {
      const n = parseInt(message.content.toString(), 10);
      console.log(" [.] fib(%d)", n);
      const response = fibonacci(n);
      channel.sendToQueue(message.properties.replyTo, Buffer.from(response.toString()), {
        correlationId: message.properties.correlationId
      });
      channel.ack(message);
    });

    console.log(" [x] Awaiting RPC requests");
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  }
})();

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
