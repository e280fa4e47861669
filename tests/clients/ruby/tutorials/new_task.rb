#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Tutorial 2: queues a persistent task.
require 'bunny'

connection = Bunny.new(host: ENV.fetch('AMQP_HOST'), port: ENV.fetch('AMQP_PORT').to_i, automatically_recover: false)
connection.start

channel = connection.create_channel
queue = channel.queue('task_queue', durable: true)

message = ARGV.empty? ? 'Hello World!' : ARGV.join(' ')

queue.publish(message, persistent: true)
puts " [x] Sent #{message}"

connection.close
