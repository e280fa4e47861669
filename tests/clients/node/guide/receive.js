// SPDX-License-Identifier: Apache-2.0
// The third guide's consumer.
const amqp = require('amqplib')
const dotenv = require('dotenv')

dotenv.config()
const MQURL = `amqp://${process.env.MQ_NAME}:${process.env.MQ_PASSWORD}@${process.env.AMQP_HOST}:${process.env.AMQP_PORT}`

const consumer = async () => {
  try {
    // Connect to MQ Server
    const connection = await amqp.connect(MQURL)

    // Create Channel
    const channel = await connection.createChannel()

    // Declare a Queue to send message
    await channel.assertQueue(process.env.QUEUE_NAME, {
      durable: false
    })

    await channel.consume(process.env.QUEUE_NAME, (msg) => {
      console.log(`Recieved : ${msg.content.toString()}`)
    }, {
      noAck: true
    })

  } catch (err) {
    console.error(err.message)
  }
}

consumer()
