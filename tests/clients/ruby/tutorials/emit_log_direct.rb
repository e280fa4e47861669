#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Tutorial 4: publishes a log line with its severity as the routing key.
require 'bunny'

connection = Bunny.new(host: ENV.fetch('AMQP_HOST'), port: ENV.fetch('AMQP_PORT').to_i, automatically_recover: false)
connection.start

channel = connection.create_channel
exchange = channel.direct('direct_logs')
severity = ARGV.shift || 'info'
message = ARGV.empty? ? 'Hello World!' : ARGV.join(' ')

exchange.publish(message, routing_key: severity)
puts " [x] Sent #{severity}:#{message}"

connection.close
