// A chat behind the bridge's `[forward.chat]`, in one file, on Go's standard library alone (1.19 or newer).
//
// The bridge posts every event of the hub here as JSON, signed by the Standard Webhooks scheme. The answer is trigger,
// return value and output binding in one: Outputs are sent first (messages, group actions), then the client's
// `invoke()` gets Result. The bridge's deploy/examples/README.md explains it step by step.
//
//	WEBHOOK_SECRET=whsec_... BRIDGE_API_KEY=... go run main.go
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	largestBody = 8_000_000
	tolerance   = 5 * time.Minute // how far the bridge's clock and ours may be apart: what is older was replayed
)

var (
	secret    = readSecret(os.Getenv("WEBHOOK_SECRET"))
	bridgeURL = setting("BRIDGE_URL", "http://localhost:8080")
	apiKey    = os.Getenv("BRIDGE_API_KEY") // one of its BRIDGE_CALLERS__KEYS
	client    = http.Client{Timeout: 5 * time.Second}
	banned    = map[string]bool{"mallory": true}
)

// An event, as far as this chat looks at it. UserID is empty for a client without a name.
type event struct {
	Hub, Category, Event, ConnectionID, UserID string
	Arguments                                  []any
}

type output map[string]any

type answer struct {
	Result  any      `json:"result"`
	Outputs []output `json:"outputs,omitempty"`
}

// A refusal is an error whose text is meant for the client; of any other it learns nothing.
type refusal string

func (text refusal) Error() string { return string(text) }

// --- what the hub does

var methods = map[string]func(event) (answer, error){
	"join": join, "leave": leave, "broadcast": broadcast, "who": who, "announce": announce,
}

// A room is a group. Outputs are sent in order: who joins is in the room before the room is told.
func join(e event) (answer, error) {
	return move(e, "add", "has joined")
}

func leave(e event) (answer, error) {
	return move(e, "remove", "has left")
}

func move(e event, action, verb string) (answer, error) {
	room, err := wanted(e, 0, "room")
	text := fmt.Sprintf("%s %s %s", name(e), verb, room)
	return answer{room, []output{
		{"action": action, "groupName": room, "connectionId": e.ConnectionID},
		{"target": "newMessage", "groupName": room, "arguments": []string{"room", text}},
	}}, err
}

// await connection.invoke("broadcast", "hello"): everybody gets newMessage(name, text); with a room, all in it.
func broadcast(e event) (answer, error) {
	text, err := wanted(e, 0, "text")
	message := output{"target": "newMessage", "arguments": []string{name(e), text}}
	if err == nil && len(e.Arguments) > 1 && e.Arguments[1] != nil {
		message["groupName"], err = wanted(e, 1, "room")
	}
	return answer{"sent", []output{message}}, err
}

// Which of these users are here? The bridge knows: a list of our own would be wrong after a restart.
func who(e event) (answer, error) {
	if len(e.Arguments) < 1 || len(e.Arguments) > 10 {
		return answer{}, refusal("Ask for 1 to 10 users.")
	}
	here := []string{}
	for index := range e.Arguments {
		user, err := wanted(e, index, "user")
		if err != nil {
			return answer{}, err
		}
		status, err := bridge("GET", "/hubs/"+url.PathEscape(e.Hub)+"/users/"+url.PathEscape(user), nil)
		switch {
		case err != nil:
			return answer{}, err
		case status == 200:
			here = append(here, user)
		case status != 404 && status != 400: // 404: is not here; 400: nobody can have such a name
			return answer{}, fmt.Errorf("the bridge answered %d", status)
		}
	}
	return answer{Result: here}, nil
}

// Outputs answer an event. Whenever else a backend has something to say (a timer, a paid order), it posts it.
func announce(e event) (answer, error) {
	text, err := wanted(e, 0, "text")
	if err != nil {
		return answer{}, err
	}
	message := output{"target": "newMessage", "arguments": []string{"announcement", text}}
	status, err := bridge("POST", "/hubs/"+url.PathEscape(e.Hub)+"/send", message)
	if err == nil && status != 202 {
		err = fmt.Errorf("the bridge answered %d", status)
	}
	return answer{Result: "announced"}, err
}

func name(e event) string {
	if e.UserID == "" {
		return "somebody"
	}
	return e.UserID
}

func wanted(e event, index int, what string) (string, error) {
	if index < len(e.Arguments) {
		if text, ok := e.Arguments[index].(string); ok && strings.TrimSpace(text) != "" {
			return text, nil
		}
	}
	return "", refusal("The " + what + " is empty.")
}

func bridge(method, path string, item any) (int, error) {
	body, err := json.Marshal(item)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest(method, bridgeURL+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-API-Key", apiKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body) // read to its end, the connection is used again
	return response.StatusCode, err
}

// --- HTTP

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/health" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if !isSigned(r.Header, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		fail(w, err)
		return
	}
	if e.Category == "connections" {
		connection(w, e)
		return
	}
	method, found := methods[e.Event]
	if !found {
		refuse(w, 422, "There is no such method.")
		return
	}
	result, err := method(e)
	var no refusal
	switch {
	case errors.As(err, &no):
		refuse(w, 422, no.Error())
	case err != nil:
		fail(w, err)
	default:
		write(w, 200, "application/json", result)
	}
}

func connection(w http.ResponseWriter, e event) {
	fmt.Printf("%s: %s\n", e.Event, name(e))
	if e.Event == "connected" && banned[e.UserID] {
		refuse(w, 403, "You are banned.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// 400, 403, 409 or 422 with problem+json: the client's invoke() is rejected with this detail.
func refuse(w http.ResponseWriter, status int, detail string) {
	problem := map[string]any{"title": "Refused", "status": status, "detail": detail}
	write(w, status, "application/problem+json", problem)
}

// The client gets a general sentence, the log the rest.
func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	w.WriteHeader(http.StatusInternalServerError)
}

func write(w http.ResponseWriter, status int, mediaType string, body any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// --- the signature: https://www.standardwebhooks.com

func isSigned(header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return false
	}
	if age := time.Since(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While a secret is rotated there are several, separated by blanks: "v1,<base64> v1,<base64>".
	for _, one := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(one), expected) { // in constant time
			return true
		}
	}
	return false
}

func readSecret(text string) []byte {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if !strings.HasPrefix(text, "whsec_") || err != nil || len(key) < 24 {
		log.Fatal("WEBHOOK_SECRET is missing or no secret: 'whsec_' and the base64 of 24 or more random bytes")
	}
	return key
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// --- start

func main() {
	port := setting("PORT", "9000")
	fmt.Println("backend: listening on port " + port)
	server := http.Server{
		Addr:              ":" + port,
		Handler:           http.HandlerFunc(serve),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second, // longer than the bridge's: a POST must not meet a closing connection
	}
	log.Fatal(server.ListenAndServe())
}
