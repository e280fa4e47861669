#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Tutorial 2: works on tasks, one second for each dot, and acknowledges each.
require 'bunny'

connection = Bunny.new(host: ENV.fetch('AMQP_HOST'), port: ENV.fetch('AMQP_PORT').to_i, automatically_recover: false)
connection.start

channel = connection.create_channel
queue = channel.queue('task_queue', durable: true)

channel.prefetch(1)
begin
  puts ' [*] Waiting for messages. To exit press CTRL+C'
  queue.subscribe(manual_ack: true, block: true) do |delivery_info, _properties, body|
    puts " [x] Received '#{body}'"
    # imitate some work
    sleep body.count('.')
    puts ' [x] Done'
    channel.ack(delivery_info.delivery_tag)
  end
rescue Interrupt => _
  connection.close
end
