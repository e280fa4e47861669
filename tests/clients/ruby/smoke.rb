#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# What a bunny application relies on beyond the tutorials; prints "ok - CHECK" for each check.
require 'bunny'
require 'securerandom'
require 'timeout'

PATIENCE_S = 30

def equal(what, got, wanted)
  abort "failed: #{what}: got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

# The next thing that a callback puts into `queue`.
def take(queue)
  Timeout.timeout(PATIENCE_S) { queue.pop }
end

def own_queue(channel)
  channel.queue("tokki-bunny-#{SecureRandom.uuid}", exclusive: true)
end

def get(queue, body, redelivered)
  info, _, got = queue.pop(manual_ack: true)
  equal('body', got, body)
  equal("redelivered flag of #{body}", info.redelivered?, redelivered)
  info.delivery_tag
end

def publisher_confirms(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  channel.confirm_select
  100.times { |i| queue.publish(i.to_s) }
  equal('all confirmed', channel.wait_for_confirms, true)
  equal('messages after 100 confirms', queue.message_count, 100)
  channel.close
end

def mandatory_return(connection)
  channel = connection.create_channel
  events = Queue.new
  channel.confirm_select(->(tag, _multiple, nack) { events << [:confirm, tag, nack] })
  exchange = channel.direct('amq.direct', durable: true)
  exchange.on_return do |info, _properties, body|
    events << [:return, info.reply_code, info.reply_text, info.exchange, info.routing_key, body]
  end
  exchange.publish('lost', routing_key: 'tokki-nowhere', mandatory: true)
  equal('first event', take(events), [:return, 312, 'NO_ROUTE', 'amq.direct', 'tokki-nowhere', 'lost'])
  equal('second event', take(events), [:confirm, 1, false])
  channel.close
end

def nack_and_requeue(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  %w[a b c].each { |body| queue.publish(body) }
  a = get(queue, 'a', false)
  b = get(queue, 'b', false)
  channel.nack(a, false, true)
  a = get(queue, 'a', true)
  channel.reject(b, false)
  channel.nack(a, true, false)
  channel.ack(get(queue, 'c', false))
  equal('get from the empty queue', queue.pop, [nil, nil, nil])
  channel.close
end

def prefetch(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  5.times { |i| queue.publish(i.to_s) }
  channel.prefetch(2)
  got = Queue.new
  queue.subscribe(manual_ack: true) { |info, _, body| got << [info.delivery_tag.to_i, body] }
  first = take(got)
  take(got)
  equal('messages behind a prefetch of 2', queue.message_count, 3)
  channel.ack(first[0])
  equal('third message', take(got), [3, '2'])
  channel.close
end

def properties_and_header_types(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  time = Time.at(1_700_000_000)
  headers = { # bunny gives texts back as octets
    'true' => true, 'false' => false, 'integer' => -(2**40), 'float' => 0.1,
    'string' => 'grüße 한국어'.b, 'empty' => '', 'nil' => nil, 'time' => time,
    'array' => [1, 'two', { 'four' => 4 }],
    'table' => { 'inner' => { 'deep' => 'value' }, 'empty' => {} }
  }
  properties = {
    content_type: 'text/plain', content_encoding: 'utf-8', delivery_mode: 2, priority: 9,
    correlation_id: 'c-1', reply_to: 'r-1', expiration: '60000', message_id: 'm-1',
    timestamp: time, type: 't-1', user_id: 'guest', app_id: 'a-1'
  }
  queue.publish('body', headers: headers, persistent: true, timestamp: time.to_i,
                        **properties.reject { |key, _| %i[timestamp delivery_mode].include?(key) })
  _, got, body = queue.pop
  equal('body', body, 'body')
  properties.each { |key, value| equal("property #{key}", got[key], value) }
  equal('headers', got.headers, headers)
  channel.close
end

def large_bodies(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  [0, 1, 1 << 20, 5 << 20].each do |size|
    body = ((0..250).to_a.pack('C*') * (size / 251 + 1))[0, size]
    queue.publish(body)
    _, _, got = queue.pop
    equal("a body of #{size} octets came back equal", got.b == body, true)
  end
  channel.close
end

def consumer_cancel_notification(connection)
  channel = connection.create_channel
  other = connection.create_channel
  queue = own_queue(channel)
  cancelled = Queue.new
  consumer = Bunny::Consumer.new(channel, queue, 'the-consumer')
  consumer.on_cancellation { |method| cancelled << method.consumer_tag }
  queue.subscribe_with(consumer)
  other.queue_delete(queue.name)
  equal('cancelled consumer', take(cancelled), 'the-consumer')
  other.close
  channel.close
end

def transactions(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  channel.tx_select
  queue.publish('kept')
  equal('messages before the commit', queue.message_count, 0)
  channel.tx_commit
  equal('messages after the commit', queue.message_count, 1)
  queue.publish('dropped')
  channel.tx_rollback
  equal('messages after the rollback', queue.message_count, 1)
  channel.close
end

def direct_reply_to(connection)
  asking = connection.create_channel
  serving = connection.create_channel
  queue = own_queue(serving)
  answers = Queue.new
  asking.basic_consume('amq.rabbitmq.reply-to', '', true) { |_, _, body| answers << body }
  queue.subscribe do |_, properties, _|
    serving.default_exchange.publish('answer', routing_key: properties.reply_to)
  end
  asking.default_exchange.publish('question', routing_key: queue.name, reply_to: 'amq.rabbitmq.reply-to')
  equal('answer', take(answers), 'answer')
  asking.close
  serving.close
end

def channel_error(connection)
  channel = connection.create_channel
  begin
    channel.queue('tokki-missing', passive: true)
    abort 'failed: a passive declare of a missing queue succeeded'
  rescue Bunny::NotFound => e
    equal('channel error', [e.channel_close.reply_code, e.channel_close.reply_text],
          [404, "NOT_FOUND - no queue 'tokki-missing' in vhost '/'"])
  end
  other = connection.create_channel # the connection is still good
  own_queue(other)
  other.close
end

# bunny raises the broker's text in the thread that opened the connection (it has no name for 540).
def connection_error(connection)
  channel = connection.create_channel
  queue = own_queue(channel)
  channel.basic_consume(queue, 'twice', true)
  begin
    channel.basic_consume(queue, 'twice', true)
    sleep PATIENCE_S
    abort 'failed: a consumer tag was accepted twice'
  rescue Bunny::NotAllowedError => e
    equal('connection error', e.message,
          "Connection-level error: NOT_ALLOWED - attempt to reuse consumer tag 'twice'")
  end
end

connection = Bunny.new(ENV.fetch('AMQP_URI'), automatically_recover: false,
                                                 recover_from_connection_close: false)
connection.start
%w[publisher\ confirms mandatory\ return nack\ and\ requeue prefetch properties\ and\ header\ types
   large\ bodies consumer\ cancel\ notification transactions direct\ reply-to channel\ error
   connection\ error].each do |name|
  send(name.tr(' -', '_'), connection)
  puts "ok - #{name}"
end
exit!(0) # the connection is closed; an at_exit handler would only find that out again
