#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Tutorial 1: sends one message to the queue "hello".
import os
import pika

connection = pika.BlockingConnection(
    pika.ConnectionParameters(host=os.environ['AMQP_HOST'], port=int(os.environ['AMQP_PORT'])))
channel = connection.channel()

channel.queue_declare(queue='hello')

channel.basic_publish(exchange='', routing_key='hello', body='Hello World!')
print(" [x] Sent 'Hello World!'")
connection.close()
