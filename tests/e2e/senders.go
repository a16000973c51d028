// Senders in Go, over connections that net/http keeps: each sends its next message once the last one is answered.
// They stop at the end of the input, and print how many messages of each were accepted, and what failed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type report struct {
	Accepted []int    `json:"accepted"`
	Failures []string `json:"failures"`
}

func send(client *http.Client, url, key, text string) error {
	body := fmt.Sprintf(`{"target": "count", "arguments": [%q]}`, text)
	request, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	told, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%d %s", answer.StatusCode, told)
	}
	return err
}

func main() {
	url, key := os.Args[1], os.Args[2]
	senders, _ := strconv.Atoi(os.Args[3])
	longest, _ := strconv.ParseFloat(os.Args[4], 64)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders, IdleConnTimeout: 90 * time.Second}}
	told := report{make([]int, senders), []string{}}
	var isOver atomic.Bool
	var lock sync.Mutex
	var group sync.WaitGroup
	for sender := range senders {
		group.Add(1)
		go func() {
			defer group.Done()
			for !isOver.Load() {
				err := send(client, url, key, fmt.Sprintf("go-%d-%d", sender, told.Accepted[sender]))
				if err == nil {
					told.Accepted[sender]++
				} else {
					lock.Lock()
					told.Failures = append(told.Failures, err.Error())
					lock.Unlock()
				}
				time.Sleep(time.Duration(rand.Float64() * longest * float64(time.Second)))
			}
		}()
	}
	io.Copy(io.Discard, os.Stdin)
	isOver.Store(true)
	group.Wait()
	json.NewEncoder(os.Stdout).Encode(told)
}
