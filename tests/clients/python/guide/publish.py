#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The second guide's first program: one message to a topic exchange, connected by URL.
import os
import pika

params = pika.URLParameters("amqp://guest:guest@%s:%s/" % (os.environ['AMQP_HOST'], os.environ['AMQP_PORT']))
connection = pika.BlockingConnection(params)
channel = connection.channel()

channel.basic_publish(exchange='cafe.topic',
                      routing_key='order.coffee.1',
                      body=b'hello world')
connection.close()
