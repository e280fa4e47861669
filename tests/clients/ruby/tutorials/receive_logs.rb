#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Tutorial 3: prints every log line, through a queue that the server names.
require 'bunny'

connection = Bunny.new(host: ENV.fetch('AMQP_HOST'), port: ENV.fetch('AMQP_PORT').to_i, automatically_recover: false)
connection.start

channel = connection.create_channel
exchange = channel.fanout('logs')
queue = channel.queue('', exclusive: true)

queue.bind(exchange)

begin
  puts ' [*] Waiting for logs. To exit press CTRL+C'
  queue.subscribe(block: true) do |_delivery_info, _properties, body|
    puts " [x] #{body}"
  end
rescue Interrupt => _
  channel.close
  connection.close
end
