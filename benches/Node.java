import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;

/**
 * The node as a program of Kafka Streams: count, sum of durations and last start by key in tumbling
 * windows of 10 s, updates to a topic. Values are rows of {@code mono_signal.csv}.
 *
 * <p>Ends at the end that the topic has at the start, and prints the seconds from the start of
 * {@code main} until all was committed and closed, and the processor seconds of that time. With
 * {@code live} it goes on until it is ended.
 *
 * <p>Arguments: broker, topic, topic of results, guarantee ({@code at_least_once} or {@code
 * exactly_once_v2}), commit interval in ms, application id, {@code exit} or {@code live}, bytes of the
 * cache that gathers updates until a commit (0: every update is written).
 */
class Node {
    private static final Duration WINDOW = Duration.ofSeconds(10);

    public static void main(String[] arguments) throws Exception {
        long began = System.nanoTime();
        var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long processor = system.getProcessCpuTime();
        String broker = arguments[0];
        String topic = arguments[1];
        boolean ends = arguments[6].equals("exit");
        long records = ends ? countRecords(broker, topic) : Long.MAX_VALUE;
        var done = new CountDownLatch(1);
        var processed = new AtomicLong();

        var builder = new StreamsBuilder();
        var source = builder.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()));
        source.groupByKey(Grouped.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .windowedBy(TimeWindows.ofSizeWithNoGrace(WINDOW))
            .aggregate(() -> new byte[24], (key, call, state) -> add(state, call),
                Materialized.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .toStream()
            .mapValues(Node::row)
            .to(arguments[2], Produced.with(
                new WindowedSerdes.TimeWindowedSerde<>(Serdes.ByteArray(), WINDOW.toMillis()), Serdes.ByteArray()));
        source.foreach((key, value) -> {
            if (processed.incrementAndGet() == records) {
                done.countDown();
            }
        });

        Path directory = Files.createTempDirectory("k-streams-");
        var properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[5]);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, directory.toString());
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[3]);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[4]);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
            BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments[7]);
        properties.put("auto.offset.reset", "earliest");
        var streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(exception -> {
            exception.printStackTrace();
            done.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        done.await();
        streams.close();
        streams.cleanUp();
        Files.deleteIfExists(directory);
        if (processed.get() < records) {
            System.exit(1);
        }
        System.out.printf("%.3f %.3f%n", (System.nanoTime() - began) / 1e9,
            (system.getProcessCpuTime() - processor) / 1e9);
    }

    /** Adds a call to count, sum of durations and last start, eight bytes each. */
    private static byte[] add(byte[] state, byte[] call) {
        long start = number(call, 1);
        var before = ByteBuffer.wrap(state);
        return ByteBuffer.allocate(24)
            .putLong(before.getLong(0) + 1)
            .putLong(before.getLong(8) + number(call, 2) - start)
            .putLong(Math.max(before.getLong(16), start))
            .array();
    }

    /** Writes the columns that {@code k} writes. */
    private static byte[] row(Windowed<byte[]> window, byte[] state) {
        var values = ByteBuffer.wrap(state);
        String row = "{\"window_start\":" + window.window().start() + ",\"window_end\":" + window.window().end()
            + ",\"caller\":\"" + new String(window.key(), StandardCharsets.US_ASCII)
            + "\",\"count\":" + values.getLong(0) + ",\"sum_duration\":" + values.getLong(8)
            + ",\"last_start\":" + values.getLong(16) + "}";
        return row.getBytes(StandardCharsets.US_ASCII);
    }

    /** Reads the number in a column. */
    private static long number(byte[] row, int column) {
        int at = 0;
        for (int passed = 0; passed < column; at++) {
            if (row[at] == ',') {
                passed++;
            }
        }
        long number = 0;
        for (; row[at] != ','; at++) {
            number = 10 * number + row[at] - '0';
        }
        return number;
    }

    private static long countRecords(String broker, String topic) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
            for (var partition : described.partitions()) {
                ends.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest());
            }
            return admin.listOffsets(ends).all().get().values().stream().mapToLong(end -> end.offset()).sum();
        }
    }
}
