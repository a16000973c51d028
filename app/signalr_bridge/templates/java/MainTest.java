// The backend as the bridge sees it: events are posted, signed, and its answers are looked at. `java MainTest.java`.

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class MainTest {
    static final byte[] KEY = newKey();
    static URI url;

    public static void main(String[] arguments) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        ProcessBuilder builder = new ProcessBuilder(java, "Main.java");
        builder.redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("PORT", "0");
        builder.environment().put("WEBHOOK_SECRET", "whsec_" + Base64.getEncoder().encodeToString(KEY));
        Process backend = builder.start();
        try (var lines = new BufferedReader(new InputStreamReader(backend.getInputStream(), UTF_8))) {
            String line = lines.readLine(); // backend: listening on port 12345
            url = URI.create("http://localhost:" + line.replaceAll("\\D", "") + "/signalr");
            run();
        } finally {
            backend.destroy();
        }
    }

    static void run() throws Exception {
        HttpResponse<String> sent = post("broadcast", "hello", KEY);
        check("a text reaches everybody", sent.statusCode() == 200
                && sent.body().contains("\"result\":\"sent\"")
                && sent.body().contains("\"target\":\"newMessage\",\"arguments\":[\"ann\",\"hello\"]"));

        HttpResponse<String> refused = post("broadcast", "", KEY);
        check("an empty text is refused with a reason", refused.statusCode() == 422
                && refused.body().contains("\"detail\":\"The text is empty.\""));

        HttpResponse<String> unsigned = post("broadcast", "hello", newKey());
        check("what the bridge has not signed is not believed", unsigned.statusCode() == 401);
    }

    static HttpResponse<String> post(String event, String argument, byte[] key) throws Exception {
        String body = """
                {"hub": "chat", "category": "messages", "event": "%s", "connectionId": "c1", "userId": "ann",
                 "arguments": ["%s"]}""".formatted(event, argument);
        long timestamp = Instant.now().getEpochSecond();
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        byte[] signature = mac.doFinal(("msg_1." + timestamp + "." + body).getBytes(UTF_8));
        HttpRequest request = HttpRequest.newBuilder(url).POST(HttpRequest.BodyPublishers.ofString(body))
                .header("webhook-id", "msg_1").header("webhook-timestamp", Long.toString(timestamp))
                .header("webhook-signature", "v1," + Base64.getEncoder().encodeToString(signature)).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    }

    static void check(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what);
        }
        System.out.println("ok: " + what);
    }

    static byte[] newKey() {
        byte[] key = new byte[32];
        new SecureRandom().nextBytes(key);
        return key;
    }
}
