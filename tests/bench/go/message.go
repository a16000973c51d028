package main

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
)

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
)

// readMessage reads one HTTP/1.1 message whose length is given. It puts the first line into line, which it returns,
// and drops the rest: neither the load nor the stub looks at more, and both are to cost as little as can be.
func readMessage(reader *bufio.Reader, line []byte) ([]byte, error) {
	first, err := reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	line = append(line[:0], bytes.TrimRight(first, "\r\n")...)
	length := 0
	for {
		header, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		header = bytes.TrimRight(header, "\r\n")
		if len(header) == 0 {
			break
		}
		colon := bytes.IndexByte(header, ':')
		if colon == len(transferEncoding) && bytes.EqualFold(header[:colon], transferEncoding) {
			return nil, errors.New("a message in chunks, which this program does not read")
		}
		if colon == len(contentLength) && bytes.EqualFold(header[:colon], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(header[colon+1:]))); err != nil {
				return nil, err
			}
		}
	}
	_, err = reader.Discard(length)
	return line, err
}
