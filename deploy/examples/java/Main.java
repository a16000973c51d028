// A chat behind the bridge's `[forward.chat]`, in one file, on the JDK alone (17 or newer).
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. The bridge's deploy/examples/README.md explains it step by step.
//
//   WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... java Main.java

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Main {
    static final int PORT = Integer.parseInt(setting("PORT", "9000"));
    static final String BRIDGE_URL = setting("BRIDGE_URL", "http://localhost:8080");
    static final String BRIDGE_API_KEY = setting("BRIDGE_API_KEY", ""); // one of its BRIDGE_CALLERS__KEYS
    static final int LARGEST_BODY = 8_000_000;
    static final long TOLERANCE_SECONDS = 5 * 60; // how far the bridge's clock and ours may be apart: older is a replay

    static final SecretKeySpec SECRET = readSecret(setting("WEBHOOK_SECRET", ""));
    static final Set<String> BANNED = Set.of("mallory");

    // Version 1.1: by default the client would offer to change to version 2 at each first request.
    static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build();

    /** An event, as far as this chat looks at it. {@code userId} is null for a client without a name. */
    record Event(String hub, String category, String event, String connectionId, String userId, List<?> arguments) {
        static Event read(Map<?, ?> json) {
            return new Event((String) json.get("hub"), (String) json.get("category"), (String) json.get("event"),
                    (String) json.get("connectionId"), (String) json.get("userId"), (List<?>) json.get("arguments"));
        }

        String name() {
            return userId == null ? "somebody" : userId;
        }

        String wanted(int index, String what) throws Refusal {
            Object value = index < arguments.size() ? arguments.get(index) : null;
            if (value instanceof String text && !text.isBlank()) {
                return text;
            }
            throw new Refusal("The " + what + " is empty.");
        }
    }

    /** Its text is meant for the client; of any other exception it learns nothing. */
    static class Refusal extends Exception {
        Refusal(String text) {
            super(text);
        }
    }

    // --- what the hub does: method name -> event -> answer. Throw Refusal to say no.

    interface Method {
        Map<String, ?> call(Event event) throws Exception;
    }

    static final Map<String, Method> METHODS = Map.of(
            // A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
            "join", event -> move(event, "add", "has joined"),
            "leave", event -> move(event, "remove", "has left"),
            "broadcast", Main::broadcast,
            "who", Main::who,
            "announce", Main::announce);

    static Map<String, ?> move(Event event, String action, String verb) throws Refusal {
        String room = event.wanted(0, "room");
        String text = event.name() + " " + verb + " " + room;
        return Map.of("result", room, "outputs", List.of(
                Map.of("action", action, "groupName", room, "connectionId", event.connectionId()),
                Map.of("target", "newMessage", "groupName", room, "arguments", List.of("room", text))));
    }

    // await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
    static Map<String, ?> broadcast(Event event) throws Refusal {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("target", "newMessage");
        message.put("arguments", List.of(event.name(), event.wanted(0, "text")));
        if (event.arguments().size() > 1 && event.arguments().get(1) != null) {
            message.put("groupName", event.wanted(1, "room"));
        }
        return Map.of("result", "sent", "outputs", List.of(message));
    }

    // Which of these users are here? The bridge knows: a list of our own would be wrong after a restart.
    static Map<String, ?> who(Event event) throws Exception {
        int count = event.arguments().size();
        if (count < 1 || count > 10) {
            throw new Refusal("Ask for 1 to 10 users.");
        }
        List<String> here = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            String user = event.wanted(index, "user");
            int status = bridge("GET", "/hubs/" + encode(event.hub()) + "/users/" + encode(user), null);
            switch (status) {
                case 200 -> here.add(user);
                case 404, 400 -> { } // 404: is not here; 400: nobody can have such a name
                default -> throw new IOException("the bridge answered " + status);
            }
        }
        return Map.of("result", here);
    }

    // Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
    static Map<String, ?> announce(Event event) throws Exception {
        List<String> arguments = List.of("announcement", event.wanted(0, "text"));
        Map<String, ?> message = Map.of("target", "newMessage", "arguments", arguments);
        int status = bridge("POST", "/hubs/" + encode(event.hub()) + "/send", message);
        if (status != 202) {
            throw new IOException("the bridge answered " + status);
        }
        return Map.of("result", "announced");
    }

    static int bridge(String method, String path, Map<String, ?> item) throws IOException, InterruptedException {
        var body = item == null ? HttpRequest.BodyPublishers.noBody()
                : HttpRequest.BodyPublishers.ofString(Json.write(item));
        HttpRequest request = HttpRequest.newBuilder(URI.create(BRIDGE_URL + path)).method(method, body)
                .header("X-API-Key", BRIDGE_API_KEY).header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(5)).build();
        return CLIENT.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    }

    static String encode(String segment) {
        return URLEncoder.encode(segment, UTF_8).replace("+", "%20"); // made for forms, where a blank is a plus
    }

    // --- HTTP

    record Answer(int status, String type, Object body) {
        static Answer empty(int status) {
            return new Answer(status, null, null);
        }

        /** 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail. */
        static Answer refuse(int status, String detail) {
            Map<String, ?> problem = Map.of("title", "Refused", "status", status, "detail", detail);
            return new Answer(status, "application/problem+json", problem);
        }
    }

    static Answer answer(HttpExchange exchange) throws Exception {
        String method = exchange.getRequestMethod();
        if (method.equals("GET") && exchange.getRequestURI().getRawPath().equals("/health")) {
            return Answer.empty(204);
        }
        if (!method.equals("POST")) {
            return Answer.empty(405);
        }
        byte[] body = exchange.getRequestBody().readNBytes(LARGEST_BODY + 1);
        if (body.length > LARGEST_BODY) {
            exchange.getRequestBody().transferTo(OutputStream.nullOutputStream());
            return Answer.empty(413);
        }
        if (!isSigned(exchange.getRequestHeaders(), body)) {
            return Answer.empty(401);
        }
        Event event = Event.read((Map<?, ?>) Json.read(new String(body, UTF_8)));
        if (event.category().equals("connections")) {
            System.out.println(event.event() + ": " + event.name());
            boolean refused = event.event().equals("connected") && BANNED.contains(event.name());
            return refused ? Answer.refuse(403, "You are banned.") : Answer.empty(204);
        }
        Method called = METHODS.get(event.event());
        if (called == null) {
            return Answer.refuse(422, "There is no such method.");
        }
        try {
            return new Answer(200, "application/json", called.call(event));
        } catch (Refusal refusal) {
            return Answer.refuse(422, refusal.getMessage());
        }
    }

    static void serve(HttpExchange exchange) throws IOException {
        Answer answer;
        try {
            answer = answer(exchange);
        } catch (Exception error) {
            error.printStackTrace(); // the client gets a general sentence, the log the rest
            answer = Answer.empty(500);
        }
        try (exchange) {
            if (answer.body() == null) {
                exchange.sendResponseHeaders(answer.status(), -1);
                return;
            }
            byte[] body = Json.write(answer.body()).getBytes(UTF_8);
            exchange.getResponseHeaders().set("Content-Type", answer.type());
            exchange.sendResponseHeaders(answer.status(), body.length);
            exchange.getResponseBody().write(body);
        }
    }

    // --- the signature: https://www.standardwebhooks.com

    static boolean isSigned(Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id");
        String timestamp = headers.getFirst("webhook-timestamp");
        String signatures = headers.getFirst("webhook-signature");
        if (id == null || id.isEmpty() || signatures == null) {
            return false;
        }
        if (timestamp == null || !timestamp.matches("[0-9]{1,12}")) {
            return false;
        }
        if (Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE_SECONDS) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(SECRET);
        mac.update((id + "." + timestamp + ".").getBytes(ISO_8859_1));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(ISO_8859_1);
        // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
        for (String one : signatures.split(" ")) {
            if (MessageDigest.isEqual(one.getBytes(ISO_8859_1), expected)) { // in constant time
                return true;
            }
        }
        return false;
    }

    static SecretKeySpec readSecret(String text) {
        if (text.matches("whsec_[A-Za-z0-9+/]{32,}={0,2}")) {
            try {
                return new SecretKeySpec(Base64.getDecoder().decode(text.substring("whsec_".length())), "HmacSHA256");
            } catch (IllegalArgumentException error) {
                // said below
            }
        }
        System.err.println(
                "WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes");
        System.exit(1);
        throw new IllegalStateException();
    }

    static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    // --- JSON, which the JDK lacks: a project with dependencies takes Jackson or Gson instead

    /** Objects are maps, arrays are lists, numbers are doubles, null is null. */
    static class Json {
        static final int DEEPEST = 200;
        static final Pattern NUMBER = Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
        static final Pattern PLAIN = Pattern.compile("[^\"\\\\\\x00-\\x1f]*+");
        static final Pattern BLANK = Pattern.compile("[ \\t\\r\\n]*+");

        final String text;
        int at;
        int depth;

        Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            Json json = new Json(text);
            Object value = json.value();
            if (json.at < text.length()) {
                throw json.malformed();
            }
            return value;
        }

        static String write(Object value) {
            StringBuilder out = new StringBuilder();
            write(value, out);
            return out.toString();
        }

        Object value() {
            take(BLANK);
            Object value;
            if (at == text.length()) {
                throw malformed();
            }
            switch (text.charAt(at)) {
                case '{' -> value = object();
                case '[' -> value = array();
                case '"' -> value = string();
                case 't' -> value = word("true", true);
                case 'f' -> value = word("false", false);
                case 'n' -> value = word("null", null);
                default -> value = number();
            }
            take(BLANK);
            return value;
        }

        Map<String, Object> object() {
            Map<String, Object> members = new LinkedHashMap<>();
            for (boolean first = begin(); !ends('}', first); first = false) {
                take(BLANK);
                String name = string();
                take(BLANK);
                expect(':');
                members.put(name, value());
            }
            return members;
        }

        List<Object> array() {
            List<Object> items = new ArrayList<>();
            for (boolean first = begin(); !ends(']', first); first = false) {
                items.add(value());
            }
            return items;
        }

        boolean begin() {
            at++;
            if (++depth > DEEPEST) {
                throw malformed();
            }
            take(BLANK);
            return true;
        }

        /** Whether the object or array ends here. If not, the comma before its next item is taken. */
        boolean ends(char bracket, boolean first) {
            if (at < text.length() && text.charAt(at) == bracket) {
                at++;
                depth--;
                return true;
            }
            if (!first) {
                expect(',');
            }
            return false;
        }

        String string() {
            expect('"');
            StringBuilder out = new StringBuilder(take(PLAIN));
            while (at < text.length() && text.charAt(at) == '\\') {
                at++;
                out.append(escaped()).append(take(PLAIN));
            }
            expect('"');
            return out.toString();
        }

        char escaped() {
            int index = at < text.length() ? "\"\\/bfnrtu".indexOf(text.charAt(at++)) : -1;
            if (index < 0 || (index == 8 && at + 4 > text.length())) {
                throw malformed();
            }
            if (index < 8) {
                return "\"\\/\b\f\n\r\t".charAt(index);
            }
            at += 4;
            return (char) Integer.parseInt(text, at - 4, at, 16);
        }

        Double number() {
            String digits = take(NUMBER);
            if (digits.isEmpty()) {
                throw malformed();
            }
            return Double.valueOf(digits);
        }

        Object word(String word, Object meaning) {
            if (!text.startsWith(word, at)) {
                throw malformed();
            }
            at += word.length();
            return meaning;
        }

        void expect(char one) {
            if (at == text.length() || text.charAt(at) != one) {
                throw malformed();
            }
            at++;
        }

        String take(Pattern pattern) {
            Matcher matcher = pattern.matcher(text).region(at, text.length());
            if (!matcher.lookingAt()) {
                return "";
            }
            at = matcher.end();
            return matcher.group();
        }

        IllegalArgumentException malformed() {
            return new IllegalArgumentException("malformed JSON at character " + at);
        }

        static void write(Object value, StringBuilder out) {
            if (value instanceof Map<?, ?> members) {
                String comma = "{";
                for (Map.Entry<?, ?> member : members.entrySet()) {
                    out.append(comma);
                    quote((String) member.getKey(), out);
                    out.append(':');
                    write(member.getValue(), out);
                    comma = ",";
                }
                out.append(members.isEmpty() ? "{}" : "}");
            } else if (value instanceof List<?> items) {
                String comma = "[";
                for (Object item : items) {
                    out.append(comma);
                    write(item, out);
                    comma = ",";
                }
                out.append(items.isEmpty() ? "[]" : "]");
            } else if (value instanceof String text) {
                quote(text, out);
            } else {
                out.append(value); // a number, true, false or null
            }
        }

        static void quote(String text, StringBuilder out) {
            out.append('"');
            for (char one : text.toCharArray()) {
                if (one == '"' || one == '\\') {
                    out.append('\\').append(one);
                } else if (one < ' ') {
                    out.append(String.format("\\u%04x", (int) one));
                } else {
                    out.append(one);
                }
            }
            out.append('"');
        }
    }

    // --- start

    public static void main(String[] arguments) throws IOException {
        // Longer than the bridge keeps an idle connection: a POST must not meet a closing one. And no waiting for more
        // to send: small answers would be late by 40 ms.
        System.setProperty("sun.net.httpserver.idleInterval", "75");
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.createContext("/", Main::serve);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
        System.out.println("backend: listening on port " + server.getAddress().getPort());
    }
}
