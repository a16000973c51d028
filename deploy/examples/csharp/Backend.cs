#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false

// A chat behind the bridge's `[forward.chat]`, in one file, on ASP.NET Core alone (.NET 10 or newer).
//
// CHECKED BY READING ONLY: unlike the others, no test starts this one, because the project's machines have no .NET. If
// it does not do what the README beside it says, that page is right.
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: `outputs` are sent first (messages, group actions), then the client's
// `invoke()` gets `result`. The bridge's deploy/examples/README.md explains it step by step.
//
//   WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... dotnet run Backend.cs

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

const int LargestBody = 8_000_000;
const long ToleranceSeconds = 5 * 60; // how far the bridge's clock and ours may be apart: what is older was replayed

var port = Setting("PORT", "9000");
var bridgeUrl = Setting("BRIDGE_URL", "http://localhost:8080");
var bridgeApiKey = Setting("BRIDGE_API_KEY", ""); // one of its BRIDGE_CALLERS__KEYS
if (ReadSecret(Setting("WEBHOOK_SECRET", "")) is not { } secret)
{
    Console.Error.WriteLine(
        "WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes");
    return 1;
}
var banned = new HashSet<string> { "mallory" };
var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };

// --- what the hub does: method name -> event -> answer. Throw Refusal to say no.

var methods = new Dictionary<string, Func<Event, Task<JsonObject>>>
{
    // A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
    ["join"] = e => Task.FromResult(Move(e, "add", "has joined")),
    ["leave"] = e => Task.FromResult(Move(e, "remove", "has left")),
    ["broadcast"] = e => Task.FromResult(Broadcast(e)),
    ["who"] = Who,
    ["announce"] = Announce,
};

static JsonObject Move(Event e, string action, string verb)
{
    var room = e.Wanted(0, "room");
    return new JsonObject
    {
        ["result"] = room,
        ["outputs"] = new JsonArray(
            new JsonObject { ["action"] = action, ["groupName"] = room, ["connectionId"] = e.ConnectionId },
            Message("room", $"{e.Name} {verb} {room}", room)),
    };
}

// await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
static JsonObject Broadcast(Event e)
{
    var text = e.Wanted(0, "text");
    var room = e.Arguments.Count > 1 && e.Arguments[1] is not null ? e.Wanted(1, "room") : null;
    return new JsonObject { ["result"] = "sent", ["outputs"] = new JsonArray(Message(e.Name, text, room)) };
}

static JsonObject Message(string name, string text, string? room = null)
{
    var message = new JsonObject { ["target"] = "newMessage", ["arguments"] = new JsonArray(name, text) };
    if (room is not null)
    {
        message["groupName"] = room;
    }
    return message;
}

// Which of these users are here? The bridge knows: a list of our own would be wrong after a restart.
async Task<JsonObject> Who(Event e)
{
    if (e.Arguments.Count is < 1 or > 10)
    {
        throw new Refusal("Ask for 1 to 10 users.");
    }
    var here = new JsonArray();
    for (var index = 0; index < e.Arguments.Count; index++)
    {
        var user = e.Wanted(index, "user");
        var path = $"/hubs/{Uri.EscapeDataString(e.Hub)}/users/{Uri.EscapeDataString(user)}";
        switch (await Bridge(HttpMethod.Get, path))
        {
            case 200:
                here.Add((JsonNode)user);
                break;
            case 404 or 400: // 404: is not here; 400: nobody can have such a name
                break;
            case var status:
                throw new HttpRequestException($"the bridge answered {status}");
        }
    }
    return new JsonObject { ["result"] = here };
}

// Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
async Task<JsonObject> Announce(Event e)
{
    var message = Message("announcement", e.Wanted(0, "text"));
    var status = await Bridge(HttpMethod.Post, $"/hubs/{Uri.EscapeDataString(e.Hub)}/send", message);
    if (status != 202)
    {
        throw new HttpRequestException($"the bridge answered {status}");
    }
    return new JsonObject { ["result"] = "announced" };
}

async Task<int> Bridge(HttpMethod method, string path, JsonObject? item = null)
{
    using var request = new HttpRequestMessage(method, bridgeUrl + path);
    request.Headers.Add("X-API-Key", bridgeApiKey);
    if (item is not null)
    {
        request.Content = new StringContent(item.ToJsonString(), Encoding.UTF8, "application/json");
    }
    using var response = await client.SendAsync(request);
    return (int)response.StatusCode;
}

// --- HTTP

async Task<Answer> Respond(HttpRequest request)
{
    if (request.Method == "GET" && request.Path == "/health")
    {
        return new Answer(204);
    }
    if (request.Method != "POST")
    {
        return new Answer(405);
    }
    using var buffer = new MemoryStream();
    await request.Body.CopyToAsync(buffer); // over the limit it throws, and Kestrel's answer is 413
    var body = buffer.ToArray();
    if (!IsSigned(request.Headers, body))
    {
        return new Answer(401);
    }
    var e = new Event(JsonNode.Parse(body)!.AsObject());
    if (e.Category == "connections")
    {
        Console.WriteLine($"{e.Method}: {e.Name}");
        return e.Method == "connected" && banned.Contains(e.Name) ? Refuse(403, "You are banned.") : new Answer(204);
    }
    if (!methods.TryGetValue(e.Method, out var method))
    {
        return Refuse(422, "There is no such method.");
    }
    try
    {
        return new Answer(200, "application/json", await method(e));
    }
    catch (Refusal refusal)
    {
        return Refuse(422, refusal.Message);
    }
}

// 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail.
static Answer Refuse(int status, string detail)
{
    var problem = new JsonObject { ["title"] = "Refused", ["status"] = status, ["detail"] = detail };
    return new Answer(status, "application/problem+json", problem);
}

async Task Serve(HttpContext context)
{
    Answer answer;
    try
    {
        answer = await Respond(context.Request);
    }
    catch (Exception error)
    {
        Console.Error.WriteLine(error); // the client gets a general sentence, the log the rest
        answer = new Answer(error is BadHttpRequestException bad ? bad.StatusCode : 500);
    }
    context.Response.StatusCode = answer.Status;
    if (answer.Body is not null)
    {
        context.Response.ContentType = answer.MediaType;
        await context.Response.WriteAsync(answer.Body.ToJsonString());
    }
}

// --- the signature: https://www.standardwebhooks.com

bool IsSigned(IHeaderDictionary headers, byte[] body)
{
    string id = headers["webhook-id"].ToString(), timestamp = headers["webhook-timestamp"].ToString();
    if (id == "" || !Regex.IsMatch(timestamp, @"\A[0-9]{1,12}\z"))
    {
        return false;
    }
    if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(timestamp)) > ToleranceSeconds)
    {
        return false;
    }
    byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
    var hmac = HMACSHA256.HashData(secret, signed);
    var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(hmac));
    // While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
    return headers["webhook-signature"].ToString().Split(' ')
        .Any(one => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(one), expected)); // constant time
}

static byte[]? ReadSecret(string text)
{
    var match = Regex.Match(text, @"\Awhsec_([A-Za-z0-9+/]{32,}={0,2})\z");
    var key = new byte[text.Length];
    return match.Success && Convert.TryFromBase64String(match.Groups[1].Value, key, out var length)
        ? key[..length]
        : null;
}

static string Setting(string name, string otherwise) =>
    Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : otherwise;

// --- start

var builder = WebApplication.CreateBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.WebHost.UseUrls($"http://0.0.0.0:{port}").ConfigureKestrel(kestrel =>
{
    kestrel.Limits.MaxRequestBodySize = LargestBody;
    // Longer than the bridge keeps an idle connection: a POST must not meet a closing one.
    kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(130);
});
var app = builder.Build();
app.Run(Serve);
Console.WriteLine($"backend: listening on port {port}");
await app.RunAsync();
return 0;

/// <summary>An event, as far as this chat looks at it. UserId is null for a client without a name.</summary>
sealed class Event(JsonObject json)
{
    public string Hub => (string)json["hub"]!;
    public string Category => (string)json["category"]!;
    public string Method => (string)json["event"]!;
    public string? ConnectionId => (string?)json["connectionId"];
    public string Name => (string?)json["userId"] ?? "somebody";
    public JsonArray Arguments => json["arguments"]!.AsArray();

    public string Wanted(int index, string what)
    {
        var value = index < Arguments.Count ? Arguments[index] : null;
        var text = value?.GetValueKind() == JsonValueKind.String ? (string)value! : "";
        return string.IsNullOrWhiteSpace(text) ? throw new Refusal($"The {what} is empty.") : text;
    }
}

sealed record Answer(int Status, string? MediaType = null, JsonObject? Body = null);

/// <summary>Its message is meant for the client; of any other exception it learns nothing.</summary>
sealed class Refusal(string text) : Exception(text);
