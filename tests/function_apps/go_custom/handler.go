// A chat as a custom handler: one web server that the Functions host calls for every function.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
)

// InvokeRequest is what the host posts.
type InvokeRequest struct {
	Data     map[string]json.RawMessage
	Metadata map[string]interface{}
}

// InvokeResponse is what the host expects.
type InvokeResponse struct {
	Outputs     map[string]interface{}
	Logs        []string
	ReturnValue interface{}
}

// Invocation is the data of a SignalR trigger.
type Invocation struct {
	Event, Hub, ConnectionId, UserId string
	Headers                          map[string]string
}

// HTTPRequest is the data of an HTTP trigger.
type HTTPRequest struct {
	Method, Body string
	Query        map[string]string
	Headers      map[string][]string
	Params       map[string]string
}

type object = map[string]interface{}

// decode reads a metadata value, which is JSON text.
func decode(metadata interface{}, into interface{}) error {
	text, ok := metadata.(string)
	if !ok {
		return fmt.Errorf("metadata is %T and not JSON text", metadata)
	}
	return json.Unmarshal([]byte(text), into)
}

func message(target string, arguments ...interface{}) object {
	return object{"target": target, "arguments": arguments}
}

type function func(InvokeRequest, Invocation) (InvokeResponse, error)

func handle(run function) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request InvokeRequest
		var invocation Invocation
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if data, found := request.Data["invocation"]; found {
			if err := json.Unmarshal(data, &invocation); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		response, err := run(request, invocation)
		if err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(response)
	}
}

func negotiate(request InvokeRequest, _ Invocation) (InvokeResponse, error) {
	var info string
	if err := json.Unmarshal(request.Data["connectionInfo"], &info); err != nil {
		return InvokeResponse{}, err
	}
	headers := object{"Content-Type": "application/json"}
	return InvokeResponse{Outputs: object{"res": object{"statusCode": 200, "headers": headers, "body": info}}}, nil
}

func connected(_ InvokeRequest, invocation Invocation) (InvokeResponse, error) {
	hello := message("newConnection", invocation.ConnectionId, invocation.Headers["X-ASRS-Hub"])
	return InvokeResponse{Outputs: object{"messages": []object{hello}}}, nil
}

func broadcast(request InvokeRequest, invocation Invocation) (InvokeResponse, error) {
	var text string
	var count int
	if err := decode(request.Metadata["message"], &text); err != nil {
		return InvokeResponse{}, err
	}
	if err := decode(request.Metadata["count"], &count); err != nil {
		return InvokeResponse{}, err
	}
	sys, _ := request.Metadata["sys"].(object)
	return InvokeResponse{
		Outputs:     object{"messages": []object{message("newMessage", text, count)}},
		Logs:        []string{fmt.Sprintf("%v said something", sys["MethodName"])},
		ReturnValue: fmt.Sprintf("sent %d", count),
	}, nil
}

func joinGroup(request InvokeRequest, invocation Invocation) (InvokeResponse, error) {
	var group string
	if err := decode(request.Metadata["group"], &group); err != nil {
		return InvokeResponse{}, err
	}
	action, err := json.Marshal(object{"connectionId": invocation.ConnectionId, "groupName": group, "action": "add"})
	return InvokeResponse{Outputs: object{"groups": string(action)}}, err
}

func sendToGroup(request InvokeRequest, _ Invocation) (InvokeResponse, error) {
	var group, text string
	if err := decode(request.Metadata["group"], &group); err != nil {
		return InvokeResponse{}, err
	}
	if err := decode(request.Metadata["message"], &text); err != nil {
		return InvokeResponse{}, err
	}
	item := message("groupMessage", text)
	item["groupName"] = group
	return InvokeResponse{ReturnValue: item}, nil
}

func rooms(request InvokeRequest, _ Invocation) (InvokeResponse, error) {
	var req HTTPRequest
	var room string
	if err := json.Unmarshal(request.Data["req"], &req); err != nil {
		return InvokeResponse{}, err
	}
	if err := decode(request.Metadata["room"], &room); err != nil {
		return InvokeResponse{}, err
	}
	if room != req.Params["room"] {
		return InvokeResponse{}, fmt.Errorf("the room is another one in the metadata")
	}
	outputs := object{"res": object{"statusCode": 202, "body": object{"room": room, "query": req.Query["q"]}}}
	if req.Method == "POST" {
		outputs["messages"] = []object{message("roomMessage", room, req.Body, req.Headers["Content-Type"][0])}
	}
	return InvokeResponse{Outputs: outputs}, nil
}

func tick(request InvokeRequest, _ Invocation) (InvokeResponse, error) {
	var timer struct{ IsPastDue bool }
	if err := json.Unmarshal(request.Data["timer"], &timer); err != nil {
		return InvokeResponse{}, err
	}
	return InvokeResponse{Outputs: object{"messages": message("tick", timer.IsPastDue)}}, nil
}

func order(request InvokeRequest, _ Invocation) (InvokeResponse, error) {
	item, ok := request.Metadata["item"].(object)
	if !ok {
		return InvokeResponse{}, fmt.Errorf("the item is not an object")
	}
	return InvokeResponse{Outputs: object{
		"orders":   item,
		"messages": []object{message("ordered", item["name"])},
	}, ReturnValue: true}, nil
}

func main() {
	port, found := os.LookupEnv("FUNCTIONS_CUSTOMHANDLER_PORT")
	if !found {
		port = "8080"
	}
	for name, run := range map[string]function{
		"/negotiate": negotiate, "/connected": connected, "/broadcast": broadcast, "/joinGroup": joinGroup,
		"/sendToGroup": sendToGroup, "/rooms": rooms, "/tick": tick, "/order": order,
	} {
		http.HandleFunc(name, handle(run))
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
