// The backend as the bridge sees it: events are posted, signed, and its answers are looked at.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func post(event string, key []byte, arguments ...any) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]any{
		"hub": "chat", "category": "messages", "event": event, "connectionId": "c1", "userId": "ann", "arguments": arguments,
	})
	timestamp := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "msg_1.%s.%s", timestamp, body)
	request := httptest.NewRequest("POST", "/signalr", strings.NewReader(string(body)))
	request.Header.Set("webhook-id", "msg_1")
	request.Header.Set("webhook-timestamp", timestamp)
	request.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	recorder := httptest.NewRecorder()
	serve(recorder, request)
	return recorder
}

func check(t *testing.T, got *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	var has, wants any
	_ = json.Unmarshal(got.Body.Bytes(), &has)
	_ = json.Unmarshal([]byte(body), &wants)
	if got.Code != status || !reflect.DeepEqual(has, wants) {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

func TestATextReachesEverybody(t *testing.T) {
	outputs := `[{"target": "newMessage", "arguments": ["ann", "hello"]}]`
	check(t, post("broadcast", secret, "hello"), 200, `{"result": "sent", "outputs": `+outputs+`}`)
}

func TestAnEmptyTextIsRefusedWithAReason(t *testing.T) {
	check(t, post("broadcast", secret, ""), 422, `{"title": "Refused", "status": 422, "detail": "The text is empty."}`)
}

func TestWhatTheBridgeHasNotSignedIsNotBelieved(t *testing.T) {
	check(t, post("broadcast", []byte("somebody else's secret"), "hello"), 401, "")
}
