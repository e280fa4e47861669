// SPDX-License-Identifier: Apache-2.0

// What an amqp091-go application relies on beyond the tutorials; prints "ok - CHECK" for each check.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 30 * time.Second

var conn *amqp.Connection
var queues int

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "failed: "+format+"\n", args...)
	os.Exit(1)
}

func must(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func equal(what string, got, wanted interface{}) {
	if !reflect.DeepEqual(got, wanted) {
		fail("%s: got %#v, wanted %#v", what, got, wanted)
	}
}

func channel() *amqp.Channel {
	ch, err := conn.Channel()
	must(err, "opening a channel")
	return ch
}

func ownQueue(ch *amqp.Channel) string {
	queues++
	name := fmt.Sprintf("tokki-go-%d-%d", os.Getpid(), queues)
	_, err := ch.QueueDeclare(name, false, false, true, false, nil)
	must(err, "declaring a queue")
	return name
}

func length(ch *amqp.Channel, queue string) int {
	q, err := ch.QueueInspect(queue)
	must(err, "asking for the queue's length")
	return q.Messages
}

func publish(ch *amqp.Channel, queue string, msg amqp.Publishing) {
	must(ch.PublishWithContext(context.Background(), "", queue, false, false, msg), "publishing")
}

func text(body string) amqp.Publishing { return amqp.Publishing{Body: []byte(body)} }

func get(ch *amqp.Channel, queue, body string, redelivered bool) amqp.Delivery {
	d, ok, err := ch.Get(queue, false)
	must(err, "getting a message")
	equal("the queue holds a message", ok, true)
	equal("body", string(d.Body), body)
	equal("redelivered flag of "+body, d.Redelivered, redelivered)
	return d
}

func next(deliveries <-chan amqp.Delivery) amqp.Delivery {
	select {
	case d := <-deliveries:
		return d
	case <-time.After(patience):
		fail("no delivery in %v", patience)
	}
	panic("not reached")
}

func publisherConfirms() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	must(ch.Confirm(false), "selecting confirms")
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 100))
	for i := 0; i < 100; i++ {
		publish(ch, queue, text("x"))
	}
	for i := uint64(1); i <= 100; i++ {
		equal("confirm", <-confirms, amqp.Confirmation{DeliveryTag: i, Ack: true})
	}
	equal("messages after 100 confirms", length(ch, queue), 100)
}

func mandatoryReturn() {
	ch := channel()
	defer ch.Close()
	must(ch.Confirm(false), "selecting confirms")
	// unbuffered: the library hands over one event at a time, in the order they came
	returns := ch.NotifyReturn(make(chan amqp.Return))
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation))
	must(ch.PublishWithContext(context.Background(), "amq.direct", "tokki-nowhere", true, false, text("lost")),
		"publishing")
	select {
	case r := <-returns:
		equal("return", fmt.Sprint(r.ReplyCode, " ", r.ReplyText, " ", r.Exchange, " ", r.RoutingKey, " ", string(r.Body)),
			"312 NO_ROUTE amq.direct tokki-nowhere lost")
	case c := <-confirms:
		fail("the confirm %v came before the return", c)
	case <-time.After(patience):
		fail("no return")
	}
	equal("confirm", <-confirms, amqp.Confirmation{DeliveryTag: 1, Ack: true})
}

func nackAndRequeue() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	for _, body := range []string{"a", "b", "c"} {
		publish(ch, queue, text(body))
	}
	a := get(ch, queue, "a", false)
	b := get(ch, queue, "b", false)
	must(a.Nack(false, true), "nack with requeue")
	a = get(ch, queue, "a", true)
	must(b.Reject(false), "reject")
	must(a.Nack(true, false), "nack without requeue")
	must(get(ch, queue, "c", false).Ack(false), "ack")
	_, ok, err := ch.Get(queue, false)
	must(err, "getting from the empty queue")
	equal("a message in the empty queue", ok, false)
}

func prefetch() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	for i := 0; i < 5; i++ {
		publish(ch, queue, text(fmt.Sprint(i)))
	}
	must(ch.Qos(2, 0, false), "setting the prefetch count")
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	must(err, "consuming")
	first := next(deliveries)
	next(deliveries)
	equal("messages behind a prefetch of 2", length(ch, queue), 3)
	must(first.Ack(false), "ack")
	equal("third message", string(next(deliveries).Body), "2")
}

func propertiesAndHeaderTypes() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	when := time.Unix(1700000000, 0)
	headers := amqp.Table{
		"true": true, "false": false, "byte": byte(200), "int8": int8(-8), "int16": int16(-1600),
		"int32": int32(-320000), "int64": int64(-1 << 63), "float32": float32(0.1), "float64": 0.1,
		"decimal": amqp.Decimal{Scale: 2, Value: 314}, "string": "grüße 한국어", "empty": "",
		"array": []interface{}{int32(1), "two", amqp.Table{"four": int32(4)}, nil},
		"time":  when, "table": amqp.Table{"inner": amqp.Table{"deep": "value"}, "empty": amqp.Table{}},
		"bytes": []byte{0, 255}, "nil": nil,
	}
	publish(ch, queue, amqp.Publishing{
		Headers: headers, ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2,
		Priority: 9, CorrelationId: "c-1", ReplyTo: "r-1", Expiration: "60000", MessageId: "m-1",
		Timestamp: when, Type: "t-1", UserId: "guest", AppId: "a-1", Body: []byte("body"),
	})
	d := get(ch, queue, "body", false)
	for key, value := range headers {
		equal("header "+key, d.Headers[key], value)
	}
	equal("number of headers", len(d.Headers), len(headers))
	equal("text properties", []string{d.ContentType, d.ContentEncoding, d.CorrelationId, d.ReplyTo,
		d.Expiration, d.MessageId, d.Type, d.UserId, d.AppId},
		[]string{"text/plain", "utf-8", "c-1", "r-1", "60000", "m-1", "t-1", "guest", "a-1"})
	equal("number properties", fmt.Sprint(d.DeliveryMode, d.Priority, d.Timestamp.Unix()), "2 9 1700000000")
}

func largeBodies() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	for _, size := range []int{0, 1, 1 << 20, 5 << 20} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i % 251)
		}
		publish(ch, queue, amqp.Publishing{Body: body})
		d, ok, err := ch.Get(queue, true)
		must(err, "getting a large message")
		if !ok || !bytes.Equal(d.Body, body) {
			fail("a body of %d octets came back with %d, or changed", size, len(d.Body))
		}
	}
}

func consumerCancelNotification() {
	ch, other := channel(), channel()
	defer ch.Close()
	defer other.Close()
	queue := ownQueue(ch)
	cancelled := ch.NotifyCancel(make(chan string, 1))
	_, err := ch.Consume(queue, "the-consumer", true, false, false, false, nil)
	must(err, "consuming")
	_, err = other.QueueDelete(queue, false, false, false)
	must(err, "deleting the queue")
	select {
	case tag := <-cancelled:
		equal("cancelled consumer", tag, "the-consumer")
	case <-time.After(patience):
		fail("no cancel notification")
	}
}

func transactions() {
	ch := channel()
	defer ch.Close()
	queue := ownQueue(ch)
	must(ch.Tx(), "tx.select")
	publish(ch, queue, text("kept"))
	equal("messages before the commit", length(ch, queue), 0)
	must(ch.TxCommit(), "tx.commit")
	equal("messages after the commit", length(ch, queue), 1)
	publish(ch, queue, text("dropped"))
	must(ch.TxRollback(), "tx.rollback")
	equal("messages after the rollback", length(ch, queue), 1)
}

func directReplyTo() {
	asking, serving := channel(), channel()
	defer asking.Close()
	defer serving.Close()
	queue := ownQueue(serving)
	questions, err := serving.Consume(queue, "", true, false, false, false, nil)
	must(err, "consuming the questions")
	answers, err := asking.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	must(err, "consuming the answers")
	publish(asking, queue, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", Body: []byte("question")})
	publish(serving, next(questions).ReplyTo, text("answer"))
	equal("answer", string(next(answers).Body), "answer")
}

func channelError() {
	ch := channel()
	_, err := ch.QueueDeclarePassive("tokki-missing", false, false, false, false, nil)
	closed, ok := err.(*amqp.Error)
	if !ok {
		fail("a passive declare of a missing queue: %v", err)
	}
	equal("channel error", fmt.Sprint(closed.Code, " ", closed.Reason),
		"404 NOT_FOUND - no queue 'tokki-missing' in vhost '/'")
	next := channel() // the connection is still good
	ownQueue(next)
	next.Close()
}

func connectionError() {
	ch := channel()
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	if ch.Qos(0, 1, false) == nil {
		fail("a prefetch size was accepted")
	}
	select {
	case err := <-closed:
		equal("connection error", fmt.Sprint(err.Code, " ", err.Reason), "540 NOT_IMPLEMENTED - prefetch_size!=0 (1)")
	case <-time.After(patience):
		fail("the connection stayed open")
	}
}

func main() {
	var err error
	conn, err = amqp.Dial(os.Getenv("AMQP_URI"))
	must(err, "connecting")
	for _, check := range []struct {
		name string
		run  func()
	}{
		{"publisher confirms", publisherConfirms},
		{"mandatory return", mandatoryReturn},
		{"nack and requeue", nackAndRequeue},
		{"prefetch", prefetch},
		{"properties and header types", propertiesAndHeaderTypes},
		{"large bodies", largeBodies},
		{"consumer cancel notification", consumerCancelNotification},
		{"transactions", transactions},
		{"direct reply-to", directReplyTo},
		{"channel error", channelError},
		{"connection error", connectionError},
	} {
		check.run()
		fmt.Println("ok - " + check.name)
	}
}
