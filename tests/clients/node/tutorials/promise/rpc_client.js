#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 6: asks for a Fibonacci number and waits for the answer in a queue of its own.

const amqp = require('amqplib');
const { randomUUID } = require('crypto');

const queue = 'rpc_queue';
const n = parseInt(process.argv[2], 10);
if (isNaN(n)) {
  console.warn('Usage: rpc_client.js number');
  process.exit(1);
}

(async () => {
  let connection;
  try {
    connection = await amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`);
    const channel = await connection.createChannel();
    const correlationId = randomUUID();

    const answer = new Promise(async (resolve) => {
      const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
      await channel.consume(replyTo, (message) => {
        if (message.properties.correlationId === correlationId) {
          resolve(message.content.toString());
        }
      }, { noAck: true });

      console.log(" [x] Requesting fib(%d)", n);
      channel.sendToQueue(queue, Buffer.from(n.toString()), { correlationId, replyTo });
    });

    console.log(" [.] Got %s", await answer);
  } catch (err) {
    console.warn(err);
    process.exitCode = 1;
  } finally {
    if (connection) await connection.close();
  }
})();
