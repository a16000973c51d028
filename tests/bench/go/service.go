package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const largestBody = 1 << 20

// bridge does in Go what is measured of ours: it sends, negotiates and answers upstream events, with the least of rules.
// Two things differ between dapr and tuned: the HTTP client, and how tokens are signed.
type bridge struct {
	callerKey    []byte
	secure       []string // the addresses of the service's endpoints over https
	plain        []string // over http, which is what the hub "plain" uses
	client       *http.Client
	sign         func(claims) (string, error)
	signerOfHubs *signer
}

type claims struct {
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	User     string `json:"nameid,omitempty"`
}

// runDapr has the client of Dapr's SignalR binding, as its source had it at commit ee3b6ce of dapr/components-contrib,
// in bindings/azure/signalr/signalr.go: a time-out, a least version of TLS, and Go's defaults for the rest. They keep two
// idle connections for a host, and no TLS sessions: what is in flight beyond those two ends with its connection closed,
// and the next begins with a handshake. A token is made for every request, by a library that keeps nothing.
func runDapr(arguments []string) error {
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
	}
	return serveBridge(arguments, client, func(one *signer) func(claims) (string, error) { return one.signAnew })
}

// runTuned keeps its connections, and the hash that its key has been put into.
func runTuned(arguments []string) error {
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024,
			DisableCompression:  true,
			TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1024)},
		},
	}
	return serveBridge(arguments, client, func(one *signer) func(claims) (string, error) { return one.signPrepared })
}

func serveBridge(arguments []string, client *http.Client, choose func(*signer) func(claims) (string, error)) error {
	flags := flag.NewFlagSet("bridge", flag.ExitOnError)
	port := flags.Int("port", 0, "where to listen")
	callerKey, accessKey := flags.String("caller-key", "", "key"), flags.String("access-key", "", "key")
	secure, plain := flags.String("https", "", "addresses"), flags.String("http", "", "addresses")
	_ = flags.Parse(arguments)
	signer := newSigner([]byte(*accessKey))
	one := &bridge{
		callerKey:    []byte(*callerKey),
		secure:       strings.Split(*secure, ","),
		plain:        strings.Split(*plain, ","),
		client:       client,
		sign:         choose(signer),
		signerOfHubs: signer,
	}
	return http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), one)
}

func (b *bridge) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	segments := strings.Split(request.URL.Path, "/")
	switch {
	case request.Method != http.MethodPost:
		http.Error(writer, "POST only", http.StatusMethodNotAllowed)
	case request.URL.Path == "/upstream":
		b.upstream(writer, request)
	case len(segments) == 4 && segments[1] == "hubs" && segments[3] == "send":
		b.send(writer, request, segments[2])
	case len(segments) == 4 && segments[1] == "hubs" && segments[3] == "negotiate":
		b.negotiate(writer, request, segments[2])
	default:
		http.NotFound(writer, request)
	}
}

// message is what a backend sends, and what the service takes.
type message struct {
	Target    string          `json:"target"`
	Arguments json.RawMessage `json:"arguments"`
	Group     string          `json:"groupName,omitempty"`
}

func (b *bridge) send(writer http.ResponseWriter, request *http.Request, hub string) {
	if subtle.ConstantTimeCompare([]byte(request.Header.Get("X-API-Key")), b.callerKey) != 1 {
		http.Error(writer, "a key is needed", http.StatusUnauthorized)
		return
	}
	var given message
	body, err := readBody(writer, request)
	if err != nil || json.Unmarshal(body, &given) != nil || given.Target == "" {
		http.Error(writer, "no message", http.StatusBadRequest)
		return
	}
	path := "/api/hubs/" + hub
	if given.Group != "" {
		path += "/groups/" + given.Group
		given.Group = ""
	}
	data, err := json.Marshal(given)
	if err == nil {
		err = b.sendToAll(request, hub, path+"/:send?api-version=2022-11-01", data)
	}
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(writer, http.StatusAccepted, map[string]string{"status": "accepted"})
}

// sendToAll calls every endpoint of the hub, side by side when there are several.
func (b *bridge) sendToAll(request *http.Request, hub, target string, data []byte) error {
	endpoints := b.secure
	if hub == "plain" {
		endpoints = b.plain
	}
	if len(endpoints) == 1 {
		return b.call(request, endpoints[0]+target, data)
	}
	failures := make([]error, len(endpoints))
	var running sync.WaitGroup
	for index, endpoint := range endpoints {
		index, endpoint := index, endpoint
		running.Add(1)
		go func() {
			defer running.Done()
			failures[index] = b.call(request, endpoint+target, data)
		}()
	}
	running.Wait()
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return nil
}

func (b *bridge) call(request *http.Request, url string, data []byte) error {
	token, err := b.sign(claims{Audience: url, Expires: time.Now().Add(15 * time.Minute).Unix()})
	if err != nil {
		return err
	}
	call, err := http.NewRequestWithContext(request.Context(), http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	call.Header.Set("Authorization", "Bearer "+token)
	call.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := b.client.Do(call)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the service answered %d", answer.StatusCode)
	}
	return nil
}

func (b *bridge) negotiate(writer http.ResponseWriter, request *http.Request, hub string) {
	audience := b.secure[0] + "/client/?hub=" + hub
	expires := time.Now().Add(time.Hour).Unix()
	token, err := b.sign(claims{Audience: audience, Expires: expires, User: request.URL.Query().Get("userId")})
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(writer, http.StatusOK, map[string]string{"url": audience, "accessToken": token})
}

func (b *bridge) upstream(writer http.ResponseWriter, request *http.Request) {
	if !b.isSigned(request.Header.Get("X-ASRS-Connection-Id"), request.Header.Get("X-ASRS-Signature")) {
		http.Error(writer, "not signed", http.StatusUnauthorized)
		return
	}
	var event struct {
		Type         int               `json:"type"`
		InvocationID string            `json:"invocationId"`
		Target       string            `json:"target"`
		Arguments    []json.RawMessage `json:"arguments"`
	}
	body, err := readBody(writer, request)
	if err != nil || json.Unmarshal(body, &event) != nil {
		http.Error(writer, "no event", http.StatusBadRequest)
		return
	}
	writeJSON(writer, http.StatusOK, map[string]any{"type": 3, "invocationId": event.InvocationID, "result": "sent"})
}

func (b *bridge) isSigned(connection, signatures string) bool {
	expected := b.signerOfHubs.digest([]byte(connection))
	for _, one := range strings.Split(signatures, ",") {
		given, err := hex.DecodeString(strings.TrimPrefix(one, "sha256="))
		if err == nil && hmac.Equal(given, expected) {
			return true
		}
	}
	return false
}

func readBody(writer http.ResponseWriter, request *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(writer, request.Body, largestBody))
}

func writeJSON(writer http.ResponseWriter, status int, value any) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(status)
	_ = json.NewEncoder(writer).Encode(value)
}
