// SPDX-License-Identifier: Apache-2.0
// What an application of RabbitMQ's Java client relies on beyond the tutorials; prints "ok - CHECK" for each.
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.ShutdownSignalException;
import com.rabbitmq.client.impl.LongStringHelper;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public class Smoke {
    private static final long PATIENCE_MS = 30000;
    private static Connection connection;

    private interface Check {
        void run() throws Exception;
    }

    private static void fail(String text) {
        System.err.println("failed: " + text);
        System.exit(1);
    }

    private static void equal(String what, Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            fail(what + ": got " + got + ", wanted " + wanted);
        }
    }

    private static <T> T take(BlockingQueue<T> queue, String what) throws InterruptedException {
        T taken = queue.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
        if (taken == null) {
            fail("no " + what);
        }
        return taken;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    private static String ownQueue(Channel channel) throws IOException {
        String name = "tokki-java-" + UUID.randomUUID();
        channel.queueDeclare(name, false, true, false, null);
        return name;
    }

    private static int length(Channel channel, String queue) throws IOException {
        return channel.queueDeclarePassive(queue).getMessageCount();
    }

    private static void publish(Channel channel, String queue, String body) throws IOException {
        channel.basicPublish("", queue, null, bytes(body));
    }

    private static long get(Channel channel, String queue, String body, boolean redelivered) throws IOException {
        GetResponse response = channel.basicGet(queue, false);
        equal("body", text(response.getBody()), body);
        equal("redelivered flag of " + body, response.getEnvelope().isRedeliver(), redelivered);
        return response.getEnvelope().getDeliveryTag();
    }

    private static void publisherConfirms() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        channel.confirmSelect();
        for (int i = 0; i < 100; i++) {
            publish(channel, queue, Integer.toString(i));
        }
        channel.waitForConfirmsOrDie(PATIENCE_MS);
        equal("messages after 100 confirms", length(channel, queue), 100);
        channel.close();
    }

    private static void mandatoryReturn() throws Exception {
        Channel channel = connection.createChannel();
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        channel.addReturnListener((code, reason, exchange, key, properties, body) ->
                events.add(code + " " + reason + " " + exchange + " " + key + " " + text(body)));
        channel.addConfirmListener((tag, multiple) -> events.add("ack " + tag),
                (tag, multiple) -> events.add("nack " + tag));
        channel.confirmSelect();
        channel.basicPublish("amq.direct", "tokki-nowhere", true, null, bytes("lost"));
        equal("first event", take(events, "return"), "312 NO_ROUTE amq.direct tokki-nowhere lost");
        equal("second event", take(events, "confirm"), "ack 1");
        channel.close();
    }

    private static void nackAndRequeue() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        for (String body : new String[] {"a", "b", "c"}) {
            publish(channel, queue, body);
        }
        long a = get(channel, queue, "a", false);
        long b = get(channel, queue, "b", false);
        channel.basicNack(a, false, true);
        a = get(channel, queue, "a", true);
        channel.basicReject(b, false);
        channel.basicNack(a, true, false);
        channel.basicAck(get(channel, queue, "c", false), false);
        equal("get from the empty queue", channel.basicGet(queue, false), null);
        channel.close();
    }

    private static void prefetch() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        for (int i = 0; i < 5; i++) {
            publish(channel, queue, Integer.toString(i));
        }
        BlockingQueue<Delivery> got = new LinkedBlockingQueue<>();
        channel.basicQos(2);
        channel.basicConsume(queue, false, (tag, delivery) -> got.add(delivery), tag -> { });
        Delivery first = take(got, "delivery");
        take(got, "delivery");
        equal("messages behind a prefetch of 2", length(channel, queue), 3);
        channel.basicAck(first.getEnvelope().getDeliveryTag(), false);
        equal("third message", text(take(got, "third delivery").getBody()), "2");
        channel.close();
    }

    private static LongString longString(String text) {
        return LongStringHelper.asLongString(text);
    }

    private static Map<String, Object> allHeaderTypes() {
        Map<String, Object> inner = new HashMap<>();
        inner.put("deep", longString("value"));
        Map<String, Object> headers = new HashMap<>();
        headers.put("true", true);
        headers.put("byte", (byte) -8);
        headers.put("short", (short) -1600);
        headers.put("int", -320000);
        headers.put("long", Long.MIN_VALUE);
        headers.put("float", 0.1f);
        headers.put("double", 0.1);
        headers.put("decimal", new BigDecimal("3.14"));
        headers.put("text", longString("gr\u00fc\u00dfe \ud55c\uad6d\uc5b4"));
        headers.put("empty", longString(""));
        headers.put("time", new Date(1700000000000L));
        headers.put("list", Arrays.asList(1, longString("two"), true, inner));
        headers.put("table", inner);
        headers.put("bytes", new byte[] {0, -1});
        headers.put("null", null);
        return headers;
    }

    private static void propertiesAndHeaderTypes() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        Map<String, Object> headers = allHeaderTypes();
        AMQP.BasicProperties sent = new AMQP.BasicProperties("text/plain", "utf-8", headers, 2, 9, "c-1",
                "r-1", "60000", "m-1", new Date(1700000000000L), "t-1", "guest", "a-1", "k-1");
        channel.basicPublish("", queue, sent, bytes("body"));
        GetResponse response = channel.basicGet(queue, true);
        AMQP.BasicProperties got = response.getProps();
        equal("body", text(response.getBody()), "body");
        equal("names of the headers", got.getHeaders().keySet(), headers.keySet());
        for (Map.Entry<String, Object> header : headers.entrySet()) {
            equal("header " + header.getKey(), got.getHeaders().get(header.getKey()), header.getValue());
        }
        equal("properties", list(got), list(sent));
        channel.close();
    }

    private static List<Object> list(AMQP.BasicProperties p) {
        return Arrays.asList(p.getContentType(), p.getContentEncoding(), p.getDeliveryMode(), p.getPriority(),
                p.getCorrelationId(), p.getReplyTo(), p.getExpiration(), p.getMessageId(), p.getTimestamp(),
                p.getType(), p.getUserId(), p.getAppId(), p.getClusterId());
    }

    private static void largeBodies() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        for (int size : new int[] {0, 1, 1 << 20, 5 << 20}) {
            byte[] body = new byte[size];
            for (int i = 0; i < size; i++) {
                body[i] = (byte) (i % 251);
            }
            channel.basicPublish("", queue, null, body);
            if (!Arrays.equals(channel.basicGet(queue, true).getBody(), body)) {
                fail("a body of " + size + " octets came back changed");
            }
        }
        channel.close();
    }

    private static void consumerCancelNotification() throws Exception {
        Channel channel = connection.createChannel();
        Channel other = connection.createChannel();
        String queue = ownQueue(channel);
        BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
        String tag = channel.basicConsume(queue, true, (t, delivery) -> { }, cancelled::add);
        other.queueDelete(queue);
        equal("cancelled consumer", take(cancelled, "cancel notification"), tag);
        other.close();
        channel.close();
    }

    private static void transactions() throws Exception {
        Channel channel = connection.createChannel();
        String queue = ownQueue(channel);
        channel.txSelect();
        publish(channel, queue, "kept");
        equal("messages before the commit", length(channel, queue), 0);
        channel.txCommit();
        equal("messages after the commit", length(channel, queue), 1);
        publish(channel, queue, "dropped");
        channel.txRollback();
        equal("messages after the rollback", length(channel, queue), 1);
        channel.close();
    }

    private static void directReplyTo() throws Exception {
        Channel asking = connection.createChannel();
        Channel serving = connection.createChannel();
        String queue = ownQueue(serving);
        BlockingQueue<String> answers = new LinkedBlockingQueue<>();
        serving.basicConsume(queue, true, (tag, delivery) ->
                publish(serving, delivery.getProperties().getReplyTo(), "answer"), tag -> { });
        asking.basicConsume("amq.rabbitmq.reply-to", true,
                (tag, delivery) -> answers.add(text(delivery.getBody())), tag -> { });
        asking.basicPublish("", queue, new AMQP.BasicProperties.Builder().replyTo("amq.rabbitmq.reply-to").build(),
                bytes("question"));
        equal("answer", take(answers, "answer"), "answer");
        asking.close();
        serving.close();
    }

    private static void channelError() throws Exception {
        Channel channel = connection.createChannel();
        try {
            channel.queueDeclarePassive("tokki-missing");
            fail("a passive declare of a missing queue succeeded");
        } catch (IOException e) {
            Method reason = ((ShutdownSignalException) e.getCause()).getReason();
            AMQP.Channel.Close close = (AMQP.Channel.Close) reason;
            equal("code", close.getReplyCode(), 404);
            equal("text", close.getReplyText(), "NOT_FOUND - no queue 'tokki-missing' in vhost '/'");
        }
        Channel next = connection.createChannel(); // the connection is still good
        ownQueue(next);
        next.close();
    }

    private static void connectionError() throws Exception {
        Channel channel = connection.createChannel();
        try {
            channel.basicQos(1, 0, false);
            fail("a prefetch size was accepted");
        } catch (IOException e) {
            AMQP.Connection.Close close =
                    (AMQP.Connection.Close) ((ShutdownSignalException) e.getCause()).getReason();
            equal("code", close.getReplyCode(), 540);
            equal("text", close.getReplyText(), "NOT_IMPLEMENTED - prefetch_size!=0 (1)");
        }
    }

    private static void check(String name, Check check) throws Exception {
        check.run();
        System.out.println("ok - " + name);
    }

    public static void main(String[] argv) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv("AMQP_URI"));
        factory.setAutomaticRecoveryEnabled(false);
        connection = factory.newConnection();
        check("publisher confirms", Smoke::publisherConfirms);
        check("mandatory return", Smoke::mandatoryReturn);
        check("nack and requeue", Smoke::nackAndRequeue);
        check("prefetch", Smoke::prefetch);
        check("properties and header types", Smoke::propertiesAndHeaderTypes);
        check("large bodies", Smoke::largeBodies);
        check("consumer cancel notification", Smoke::consumerCancelNotification);
        check("transactions", Smoke::transactions);
        check("direct reply-to", Smoke::directReplyTo);
        check("channel error", Smoke::channelError);
        check("connection error", Smoke::connectionError);
        System.exit(0);
    }
}
