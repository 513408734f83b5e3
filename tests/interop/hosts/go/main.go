// Hosts MQTT clients of Eclipse Paho in Go: paho.mqtt.golang for MQTT 3.1.1 and paho.golang for
// MQTT 5.0. tests/support/peers/host.py describes the JSON lines that drive it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const limit = 30 * time.Second

// client is what both libraries are made to offer.
type client interface {
	connect(request) (response, error)
	subscribe(request) (response, error)
	publish(request) (response, error)
	disconnect() error
	abort() error
}

// host holds the clients by their names and serializes what is written.
type host struct {
	mutex   sync.Mutex
	clients map[string]client
	output  *json.Encoder
}

func (h *host) write(value any) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if err := h.output.Encode(value); err != nil {
		fmt.Fprintln(os.Stderr, "cannot write:", err)
		os.Exit(1)
	}
}

func (h *host) named(name string) (client, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	found, ok := h.clients[name]
	if !ok {
		return nil, fmt.Errorf("there is no client %q", name)
	}
	return found, nil
}

func (h *host) connect(asked request) (response, error) {
	var made client
	deliver := func(seen message) { h.write(seen) }
	if asked.Version == 5 {
		made = &newClient{name: asked.Client, deliver: deliver}
	} else {
		made = &oldClient{name: asked.Client, deliver: deliver}
	}
	h.mutex.Lock()
	h.clients[asked.Client] = made
	h.mutex.Unlock()
	return made.connect(asked)
}

func (h *host) perform(asked request) (response, error) {
	if asked.Op == "connect" {
		return h.connect(asked)
	}
	used, err := h.named(asked.Client)
	if err != nil {
		return response{}, err
	}
	switch asked.Op {
	case "subscribe":
		return used.subscribe(asked)
	case "publish":
		return used.publish(asked)
	case "disconnect":
		return response{}, used.disconnect()
	case "abort":
		return response{}, used.abort()
	}
	return response{}, fmt.Errorf("there is no operation %q", asked.Op)
}

func (h *host) serve(asked request) {
	answer, err := h.perform(asked)
	answer.ID = asked.ID
	if err != nil {
		answer.Error = err.Error()
	}
	h.write(answer)
}

func main() {
	h := &host{clients: map[string]client{}, output: json.NewEncoder(os.Stdout)}
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var asked request
		if err := input.Decode(&asked); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "cannot read:", err)
			os.Exit(1)
		}
		go h.serve(asked)
	}
}
