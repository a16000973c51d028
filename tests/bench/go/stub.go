package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// slowAnswer is how long calls for the hub "slow" wait. The measurement of memory looks at the bridge meanwhile.
const slowAnswer = 4 * time.Second

var (
	accepted = []byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
	healthy  = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	result   = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n" +
		`{"result":"sent"}`)

	opened atomic.Int64
)

// runStub answers at once: as the service, over http and https on each of the addresses, and as an HTTP backend below
// /signalr. GET /opened says how many connections have been made to it.
func runStub(arguments []string) error {
	flags := flag.NewFlagSet("stub", flag.ExitOnError)
	addresses := flags.String("addresses", "127.0.0.1", "where to listen, with commas between")
	httpPort, httpsPort := flags.Int("http", 0, "port"), flags.Int("https", 0, "port")
	certificate := flags.String("certificate", "", "file with the certificate and its key")
	_ = flags.Parse(arguments)
	pair, err := tls.LoadX509KeyPair(*certificate, *certificate)
	if err != nil {
		return err
	}
	// Without the post-quantum key exchange, which would make new connections more expensive for both sides.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, CurvePreferences: []tls.CurveID{tls.X25519}}
	ended := make(chan error)
	for _, address := range strings.Split(*addresses, ",") {
		plain, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, *httpPort))
		if err != nil {
			return err
		}
		secure, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, *httpsPort))
		if err != nil {
			return err
		}
		go func() { ended <- serveStub(plain) }()
		go func() { ended <- serveStub(tls.NewListener(secure, config)) }()
	}
	return <-ended
}

func serveStub(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		opened.Add(1)
		go answer(connection)
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	reader, line := bufio.NewReaderSize(connection, 8192), make([]byte, 0, 256)
	for {
		var err error
		if line, err = readMessage(reader, line); err != nil {
			return // hung up
		}
		if _, err = connection.Write(choose(line)); err != nil {
			return
		}
	}
}

func choose(line []byte) []byte {
	switch {
	case bytes.HasPrefix(line, []byte("POST /signalr")):
		return result
	case bytes.HasPrefix(line, []byte("GET /opened ")):
		number := fmt.Sprint(opened.Load())
		return []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(number), number))
	case !bytes.HasPrefix(line, []byte("POST ")):
		return healthy // the bridge's probes
	case bytes.HasPrefix(line, []byte("POST /api/hubs/slow/")):
		time.Sleep(slowAnswer)
	}
	return accepted
}
