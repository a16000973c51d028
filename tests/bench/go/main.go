// The parts of `make bench` that are written in Go, in one program. The first argument chooses one:
//
//	load   sends requests and takes their times
//	stub   stands for the SignalR service, and for an HTTP backend
//	dapr   a bridge in Go that calls the service as Dapr's SignalR binding does
//	tuned  the same bridge, by somebody who has looked at its profile
//
// Standard library alone, and any Go since 1.19. It is built as a list of files, without a go.mod, so that Go's
// defaults are those of the Go that is installed.
package main

import (
	"fmt"
	"os"
)

func main() {
	parts := map[string]func([]string) error{"load": runLoad, "stub": runStub, "dapr": runDapr, "tuned": runTuned}
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench load|stub|dapr|tuned ...")
		os.Exit(2)
	}
	if err := parts[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
