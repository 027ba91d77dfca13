import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

/** Reads keys as lines of hexadecimal; prints where Kafka's Java client puts each, of 1, 3, 12 and 100 partitions. */
class Partitions {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            byte[] key = HexFormat.of().parseHex(line);
            var partitions = new StringBuilder();
            for (int count : new int[] {1, 3, 12, 100}) {
                partitions.append(BuiltInPartitioner.partitionForKey(key, count)).append(' ');
            }
            System.out.println(partitions.toString().trim());
        }
    }
}
