// A chat behind the bridge's `[forward.chat]`, in one file, in Rust (1.63 or newer). Its standard library has neither
// HTTP nor HMAC, base64 or JSON: five small crates have them (Cargo.toml).
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. The bridge's deploy/examples/README.md explains it step by step.
//
//   WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... cargo run

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process, thread};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use hmac_sha256::HMAC;
use serde_json::{json, Value};
use tiny_http::{Header, Method, Request, Response, Server};

const LARGEST_BODY: u64 = 8_000_000;
const TOLERANCE_SECONDS: u64 = 5 * 60; // how far the bridge's clock and ours may be apart: what is older was replayed
const THREADS: usize = 16; // how many events are answered side by side
const BANNED: [&str; 1] = ["mallory"];

struct Backend {
    secret: Vec<u8>,
    bridge_url: String,
    bridge_api_key: String, // one of its BRIDGE_CALLERS__KEYS
}

// An event, as far as this chat looks at it. The user id is null for a client without a name.
struct Event(Value);

enum Failure {
    Refused(String), // its text is meant for the client
    Failed(String),  // of this it learns nothing
}

use Failure::{Failed, Refused};

type Answered = Result<Value, Failure>;

impl Event {
    fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.0["userId"].as_str().unwrap_or("somebody")
    }

    fn arguments(&self) -> &[Value] {
        self.0["arguments"].as_array().map_or(&[], Vec::as_slice)
    }

    fn wanted(&self, index: usize, what: &str) -> Result<&str, Failure> {
        match self.arguments().get(index).and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(Refused(format!("The {what} is empty."))),
        }
    }
}

// --- what the hub does: return Refused to say no

impl Backend {
    fn call(&self, event: &Event) -> Answered {
        match event.text("event") {
            // A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
            "join" => self.go(event, "add", "has joined"),
            "leave" => self.go(event, "remove", "has left"),
            "broadcast" => self.broadcast(event),
            "who" => self.who(event),
            "announce" => self.announce(event),
            _ => Err(Refused("There is no such method.".into())),
        }
    }

    fn go(&self, event: &Event, action: &str, verb: &str) -> Answered {
        let room = event.wanted(0, "room")?;
        let text = format!("{} {verb} {room}", event.name());
        Ok(json!({"result": room, "outputs": [
            {"action": action, "groupName": room, "connectionId": event.text("connectionId")},
            {"target": "newMessage", "groupName": room, "arguments": ["room", text]},
        ]}))
    }

    // await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
    fn broadcast(&self, event: &Event) -> Answered {
        let text = event.wanted(0, "text")?;
        let mut message = json!({"target": "newMessage", "arguments": [event.name(), text]});
        if event.arguments().get(1).map_or(false, |room| !room.is_null()) {
            message["groupName"] = event.wanted(1, "room")?.into();
        }
        Ok(json!({"result": "sent", "outputs": [message]}))
    }

    // Which of these users are here? The bridge knows: a list of our own would be wrong after a restart.
    fn who(&self, event: &Event) -> Answered {
        let count = event.arguments().len();
        if !(1..=10).contains(&count) {
            return Err(Refused("Ask for 1 to 10 users.".into()));
        }
        let mut here = Vec::new();
        for index in 0..count {
            let user = event.wanted(index, "user")?;
            let path = format!("/hubs/{}/users/{}", encode(event.text("hub")), encode(user));
            match self.bridge(minreq::Method::Get, &path, None)? {
                200 => here.push(user),
                404 | 400 => {} // 404: is not here; 400: nobody can have such a name
                status => return Err(Failed(format!("the bridge answered {status}"))),
            }
        }
        Ok(json!({ "result": here }))
    }

    // Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
    fn announce(&self, event: &Event) -> Answered {
        let message = json!({"target": "newMessage", "arguments": ["announcement", event.wanted(0, "text")?]});
        let path = format!("/hubs/{}/send", encode(event.text("hub")));
        match self.bridge(minreq::Method::Post, &path, Some(message))? {
            202 => Ok(json!({"result": "announced"})),
            status => Err(Failed(format!("the bridge answered {status}"))),
        }
    }

    fn bridge(&self, method: minreq::Method, path: &str, item: Option<Value>) -> Result<i32, Failure> {
        minreq::Request::new(method, format!("{}{path}", self.bridge_url))
            .with_header("X-API-Key", &self.bridge_api_key)
            .with_header("Content-Type", "application/json")
            .with_body(item.map_or(String::new(), |item| item.to_string()))
            .with_timeout(5)
            .with_follow_redirects(false)
            .send()
            .map(|response| response.status_code)
            .map_err(|error| Failed(format!("the bridge: {error}")))
    }
}

// A segment of a path: everything but letters, digits, "-", "_", "." and "~" is percent-encoded.
fn encode(segment: &str) -> String {
    let encoded = segment.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

// --- HTTP

struct Answer(u16, &'static str, Option<Value>);

fn empty(status: u16) -> Answer {
    Answer(status, "", None)
}

// 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail.
fn refuse(status: u16, detail: &str) -> Answer {
    let problem = json!({"title": "Refused", "status": status, "detail": detail});
    Answer(status, "application/problem+json", Some(problem))
}

impl Backend {
    fn answer(&self, request: &mut Request) -> Result<Answer, String> {
        if request.method() == &Method::Get && request.url() == "/health" {
            return Ok(empty(204));
        }
        if request.method() != &Method::Post {
            return Ok(empty(405));
        }
        let mut body = Vec::new();
        let mut limited = request.as_reader().take(LARGEST_BODY + 1);
        limited.read_to_end(&mut body).map_err(|error| error.to_string())?;
        if body.len() as u64 > LARGEST_BODY {
            return Ok(empty(413));
        }
        if !self.is_signed(request, &body) {
            return Ok(empty(401));
        }
        let event = Event(serde_json::from_slice(&body).map_err(|error| error.to_string())?);
        if event.text("category") == "connections" {
            println!("{}: {}", event.text("event"), event.name());
            let refused = event.text("event") == "connected" && BANNED.contains(&event.name());
            return Ok(if refused { refuse(403, "You are banned.") } else { empty(204) });
        }
        match self.call(&event) {
            Ok(answer) => Ok(Answer(200, "application/json", Some(answer))),
            Err(Refused(text)) => Ok(refuse(422, &text)),
            Err(Failed(text)) => Err(text),
        }
    }

    fn serve(&self, mut request: Request) {
        let Answer(status, media_type, body) = self.answer(&mut request).unwrap_or_else(|error| {
            eprintln!("{error}"); // the client gets a general sentence, the log the rest
            empty(500)
        });
        let done = match body {
            None => request.respond(Response::empty(status)),
            Some(body) => {
                let header = Header::from_bytes("Content-Type", media_type).expect("a header of ours");
                request.respond(Response::from_string(body.to_string()).with_status_code(status).with_header(header))
            }
        };
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }

    // --- the signature: https://www.standardwebhooks.com

    fn is_signed(&self, request: &Request, body: &[u8]) -> bool {
        let (id, timestamp) = (header(request, "webhook-id"), header(request, "webhook-timestamp"));
        let is_number = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        if id.is_empty() || !is_number {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let then: u64 = timestamp.parse().unwrap_or_default();
        if now.max(then) - now.min(then) > TOLERANCE_SECONDS {
            return false;
        }
        let mut hmac = HMAC::new(&self.secret);
        hmac.update(format!("{id}.{timestamp}."));
        hmac.update(body);
        // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
        header(request, "webhook-signature").split(' ').any(|one| {
            let given = one.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            match given.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
                Some(bytes) => hmac.clone().finalize_verify(&bytes), // in constant time
                None => false,
            }
        })
    }
}

fn header<'a>(request: &'a Request, name: &'static str) -> &'a str {
    let found = request.headers().iter().find(|one| one.field.equiv(name));
    found.map_or("", |one| one.value.as_str())
}

fn read_secret(text: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
    (key.len() >= 24).then(|| key)
}

fn setting(name: &str, otherwise: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.into())
}

// --- start

fn main() {
    let secret = read_secret(&setting("WEBHOOK_SECRET", "")).unwrap_or_else(|| {
        eprintln!("WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes");
        process::exit(1);
    });
    let bridge_url = setting("BRIDGE_URL", "http://localhost:8080");
    let bridge_api_key = setting("BRIDGE_API_KEY", "");
    let backend = Backend { secret, bridge_url, bridge_api_key };

    let port = setting("PORT", "9000");
    let server = Server::http(format!("0.0.0.0:{port}")).unwrap_or_else(|error| {
        eprintln!("port {port}: {error}");
        process::exit(1);
    });
    println!("backend: listening on port {port}");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| server.incoming_requests().for_each(|request| backend.serve(request)));
        }
    });
}
