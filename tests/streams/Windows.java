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
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Initializer;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;

/**
 * What Kafka Streams makes of a topic: for each key and window the number of records and the sum of
 * their durations; values are rows of {@code mono_signal.csv}. Reads to the end of the topic, without repartitioning, so
 * that stream time, which decides what is expired, is that of each partition.
 *
 * <p>Prints {@code WINDOWS,window_start,window_end,key,count,sum}, the last state of every window, in
 * no order.
 *
 * <p>Arguments: broker, topic, and windows such as {@code tumbling:GRACE:SIZE}, {@code
 * hopping:GRACE:SIZE:ADVANCE}, {@code session:GRACE:GAP} or {@code sliding:GRACE:DIFFERENCE}, in ms.
 */
class Windows {
    /** A state is {@code count,sum}. */
    private static final Initializer<String> NOTHING = () -> "0,0";
    private static final Aggregator<String, String, String> ADD = (key, call, state) -> add(state, "1," + duration(call));

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0];
        String topic = arguments[1];
        long records = countRecords(broker, topic);

        var builder = new StreamsBuilder();
        var source = builder.<String, String>stream(topic);
        var grouped = source.groupByKey(Grouped.with(Serdes.String(), Serdes.String()));
        Map<String, String> states = new HashMap<>();
        for (String windows : List.of(arguments).subList(2, arguments.length)) {
            aggregate(grouped, windows.split(":")).toStream().foreach((window, state) -> {
                String row = windows + "," + window.window().start() + "," + window.window().end() + "," + window.key();
                if (state == null) {
                    states.remove(row); // a session that has become part of another
                } else {
                    states.put(row, state);
                }
            });
        }
        // Behind the aggregations, which each record goes through first.
        var processed = new AtomicLong();
        var done = new CountDownLatch(1);
        source.foreach((key, value) -> {
            if (processed.incrementAndGet() == records) {
                done.countDown();
            }
        });
        if (records == 0) {
            done.countDown();
        }

        Path directory = Files.createTempDirectory("k-streams-");
        var properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, directory.getFileName().toString());
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, directory.toString());
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
            BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        properties.put("auto.offset.reset", "earliest");
        var streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(exception -> {
            exception.printStackTrace();
            done.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        done.await();
        streams.close();
        streams.cleanUp();
        Files.deleteIfExists(directory);
        if (processed.get() < records) {
            System.exit(1);
        }
        states.forEach((row, state) -> System.out.println(row + "," + state));
    }

    private static KTable<Windowed<String>, String> aggregate(
            KGroupedStream<String, String> records, String[] windows) {
        Duration grace = Duration.ofMillis(Long.parseLong(windows[1]));
        Duration first = Duration.ofMillis(Long.parseLong(windows[2]));
        return switch (windows[0]) {
            case "tumbling" -> records
                .windowedBy(TimeWindows.ofSizeAndGrace(first, grace))
                .aggregate(NOTHING, ADD, Materialized.with(Serdes.String(), Serdes.String()));
            case "hopping" -> records
                .windowedBy(TimeWindows.ofSizeAndGrace(first, grace)
                    .advanceBy(Duration.ofMillis(Long.parseLong(windows[3]))))
                .aggregate(NOTHING, ADD, Materialized.with(Serdes.String(), Serdes.String()));
            case "session" -> records
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(first, grace))
                .aggregate(NOTHING, ADD, (key, one, other) -> add(one, other),
                    Materialized.with(Serdes.String(), Serdes.String()));
            case "sliding" -> records
                .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(first, grace))
                .aggregate(NOTHING, ADD, Materialized.with(Serdes.String(), Serdes.String()));
            default -> throw new IllegalArgumentException(windows[0]);
        };
    }

    private static long duration(String call) {
        String[] fields = call.split(",");
        return Long.parseLong(fields[2]) - Long.parseLong(fields[1]);
    }

    private static String add(String one, String other) {
        String[] left = one.split(",");
        String[] right = other.split(",");
        return (Long.parseLong(left[0]) + Long.parseLong(right[0])) + ","
            + (Long.parseLong(left[1]) + Long.parseLong(right[1]));
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
