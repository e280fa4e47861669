#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Tutorial 1: sends one message to the queue "hello".

var amqp = require('amqplib/callback_api');

amqp.connect(`amqp://${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`, function(error0, connection) {
  if (error0) {
    throw error0;
  }
  connection.createChannel(function(error1, channel) {
    if (error1) {
      throw error1;
    }
    var queue = 'hello';
    var msg = 'Hello World!';

    channel.assertQueue(queue, {
      durable: false
    });

    channel.sendToQueue(queue, Buffer.from(msg));
    console.log(" [x] Sent %s", msg);
  });
  setTimeout(function() {
    connection.close();
    process.exit(0);
  }, 500);
});
