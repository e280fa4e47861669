#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Tutorial 5: prints the log lines that match the binding keys given.
require 'bunny'

connection = Bunny.new(host: ENV.fetch('AMQP_HOST'), port: ENV.fetch('AMQP_PORT').to_i, automatically_recover: false)
connection.start

channel = connection.create_channel
abort "Usage: #{$0} KEY..." if ARGV.empty?

exchange = channel.topic('topic_logs')
queue = channel.queue('', exclusive: true)

ARGV.each do |severity|
  queue.bind(exchange, routing_key: severity)
end

begin
  puts ' [*] Waiting for logs. To exit press CTRL+C'
  queue.subscribe(block: true) do |delivery_info, _properties, body|
    puts " [x] #{delivery_info.routing_key}:#{body}"
  end
rescue Interrupt => _
  channel.close
  connection.close
end
