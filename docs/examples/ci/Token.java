import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

public class Token {
    public static void main(String[] arguments) throws Exception {
        byte[] report = new byte[65];
        byte[] init = {0, -1, -1, -1, -1, (byte) 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
        System.arraycopy(init, 0, report, 0, init.length);
        ByteBuffer answered = ByteBuffer.allocate(64);
        // Opened so, and not by RandomAccessFile: that makes a file if there is no key.
        try (FileChannel key = FileChannel.open(
                Path.of("/dev/hidraw90"), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            key.write(ByteBuffer.wrap(report));
            key.read(answered);
        }
        byte[] answer = answered.array();
        if (!Arrays.equals(Arrays.copyOfRange(answer, 7, 15), Arrays.copyOfRange(init, 8, 16)))
            throw new AssertionError("no answer to INIT");
        System.out.println("FIDO2: " + ((answer[23] & 4) != 0));
    }
}
