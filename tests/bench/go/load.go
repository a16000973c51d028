package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// longestJob ends a job that a server does not get done.
const longestJob = 5 * time.Minute

// job is a line on standard input. Each connection sends its own request again and again, one at a time.
type job struct {
	Address     string
	TLS         bool
	Requests    [][]byte // in base64; connections beyond their number begin again with the first
	Connections int
	WarmUp      int // requests before the job, as fast as they go, whatever is answered
	Count       int
	Rate        int    // requests a second, whether or not those before have been answered; 0 is as fast as it goes
	Status      string // what every answer's must begin with
}

// report is the line that answers a job.
type report struct {
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"` // seconds, from the moment a request was due
	P99     float64 `json:"p99"`
}

// runLoad makes the connections of a job and sends what is before it, says so, waits for a line, and runs it.
func runLoad([]string) error {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	decoder, output := json.NewDecoder(input), json.NewEncoder(os.Stdout)
	for {
		var one job
		if err := decoder.Decode(&one); err != nil {
			return nil // the end
		}
		connections, err := connect(one)
		if err == nil && one.WarmUp > 0 {
			before := one
			before.Status = ""
			_, err = run(before, connections, atATime(one.WarmUp))
		}
		_ = output.Encode(map[string]bool{"ready": err == nil})
		var start bool
		if decoder.Decode(&start) != nil {
			return nil
		}
		var done report
		if err == nil {
			done, err = measure(one, connections)
		}
		for _, connection := range connections {
			_ = connection.Close()
		}
		if err != nil {
			done = report{Error: err.Error()}
		}
		_ = output.Encode(done)
	}
}

func connect(one job) ([]net.Conn, error) {
	connections := make([]net.Conn, one.Connections)
	for index := range connections {
		connection, err := dial(one)
		if err != nil {
			return nil, err
		}
		_ = connection.SetDeadline(time.Now().Add(longestJob))
		connections[index] = connection
	}
	return connections, nil
}

func dial(one job) (net.Conn, error) {
	if one.TLS {
		return tls.Dial("tcp", one.Address, nil)
	}
	return net.Dial("tcp", one.Address)
}

func measure(one job, connections []net.Conn) (report, error) {
	if one.Rate == 0 {
		return run(one, connections, atATime(one.Count))
	}
	next, err := atARate(one.Count, one.Rate)
	if err != nil {
		return report{}, err
	}
	return run(one, connections, next)
}

func run(one job, connections []net.Conn, next func() (time.Time, bool)) (report, error) {
	times := make([][]time.Duration, len(connections))
	failures := make([]error, len(connections))
	var running sync.WaitGroup
	started := time.Now()
	for index, connection := range connections {
		index, connection := index, connection
		running.Add(1)
		go func() {
			defer running.Done()
			request := one.Requests[index%len(one.Requests)]
			times[index], failures[index] = send(connection, request, one.Status, next)
		}()
	}
	running.Wait()
	seconds := time.Since(started).Seconds()
	var all []time.Duration
	for index := range connections {
		if failures[index] != nil {
			return report{}, failures[index]
		}
		all = append(all, times[index]...)
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	return report{Seconds: seconds, P50: all[len(all)/2].Seconds(), P99: all[len(all)*99/100].Seconds()}, nil
}

// send sends until next has no more. next waits until a request is due, and gives that moment.
func send(connection net.Conn, request []byte, status string, next func() (time.Time, bool)) ([]time.Duration, error) {
	reader, line := bufio.NewReaderSize(connection, 16384), make([]byte, 0, 256)
	var times []time.Duration
	for due, more := next(); more; due, more = next() {
		if _, err := connection.Write(request); err != nil {
			return nil, err
		}
		var err error
		if line, err = readMessage(reader, line); err != nil {
			return nil, fmt.Errorf("no answer: %w", err)
		}
		if len(line) < 12 || !strings.HasPrefix(string(line[9:12]), status) {
			return nil, fmt.Errorf("answered %q", line)
		}
		times = append(times, time.Since(due))
	}
	return times, nil
}

// atATime gives the next request to whoever is free.
func atATime(count int) func() (time.Time, bool) {
	var given atomic.Int64
	return func() (time.Time, bool) { return time.Now(), given.Add(1) <= int64(count) }
}

// atARate gives one request after the other at its moment, late ones too, and counts from that moment. Go's own timers
// are a millisecond late, so the kernel counts the time.
func atARate(count, rate int) (func() (time.Time, bool), error) {
	interval := time.Second / time.Duration(rate)
	timer, err := openTimer(interval)
	if err != nil {
		return nil, err
	}
	due := make(chan time.Time, count)
	go func() {
		defer timer.Close()
		defer close(due)
		moment, ticks := time.Now(), make([]byte, 8)
		for given := 0; given < count; {
			if _, err := timer.Read(ticks); err != nil {
				return
			}
			for passed := binary.LittleEndian.Uint64(ticks); passed > 0 && given < count; passed-- {
				moment = moment.Add(interval)
				due <- moment
				given++
			}
		}
	}()
	return func() (time.Time, bool) { moment, more := <-due; return moment, more }, nil
}

// openTimer gives a timerfd(2) that can be read at each interval: the number of those that have passed.
func openTimer(interval time.Duration) (*os.File, error) {
	const monotonic = 1
	number, _, failure := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if failure != 0 {
		return nil, failure
	}
	every := syscall.NsecToTimespec(int64(interval))
	setting := [2]syscall.Timespec{every, every}
	_, _, failure = syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, number, 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
	if failure != 0 {
		return nil, failure
	}
	timer := os.NewFile(number, "timer")
	if timer == nil {
		return nil, errors.New("no timer")
	}
	return timer, nil
}
