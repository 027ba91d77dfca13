import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends the lines of stdin to a topic, a key, a tab and a value each (an empty key is null), in
 * transactions that a line `commit` or `abort` ends: `Upstream BROKER TOPIC`.
 */
public class Upstream {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("transactional.id", "upstream");
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (var producer = new KafkaProducer<String, String>(settings)) {
            producer.initTransactions();
            boolean isOpen = false;
            for (String line; (line = input.readLine()) != null; ) {
                boolean isCommit = line.equals("commit");
                if (isCommit || line.equals("abort")) {
                    producer.flush(); // what is given up lies in the topic, too
                    if (isCommit) producer.commitTransaction();
                    else producer.abortTransaction();
                    isOpen = false;
                    continue;
                }
                if (!isOpen) producer.beginTransaction();
                isOpen = true;
                int tab = line.indexOf('\t');
                String key = tab == 0 ? null : line.substring(0, tab);
                producer.send(new ProducerRecord<>(arguments[1], key, line.substring(tab + 1)));
            }
        }
    }
}
