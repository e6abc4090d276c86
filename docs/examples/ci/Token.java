import java.io.RandomAccessFile;
import java.util.Arrays;

public class Token {
    public static void main(String[] arguments) throws Exception {
        byte[] report = new byte[65];
        byte[] init = {0, -1, -1, -1, -1, (byte) 0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
        System.arraycopy(init, 0, report, 0, init.length);
        byte[] answer = new byte[64];
        try (RandomAccessFile key = new RandomAccessFile("/dev/hidraw90", "rw")) {
            key.write(report);
            key.readFully(answer);
        }
        if (!Arrays.equals(Arrays.copyOfRange(answer, 7, 15), Arrays.copyOfRange(init, 8, 16)))
            throw new AssertionError("no answer to INIT");
        System.out.println("FIDO2: " + ((answer[23] & 4) != 0));
    }
}
