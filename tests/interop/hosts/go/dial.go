package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// dial opens the connection below MQTT. Both libraries take one, and only so can the tests cut it.
func dial(asked request) (net.Conn, error) {
	address := fmt.Sprintf("127.0.0.1:%d", asked.Port)
	trust, err := trustIn(asked.CAFile)
	if err != nil {
		return nil, err
	}
	switch asked.Transport {
	case "tcp":
		return net.DialTimeout("tcp", address, limit)
	case "tls":
		return tls.DialWithDialer(&net.Dialer{Timeout: limit}, "tcp", address, trust)
	case "ws", "wss":
		url := fmt.Sprintf("%s://%s/", asked.Transport, address)
		return mqtt.NewWebsocket(url, trust, limit, nil, nil)
	}
	return nil, fmt.Errorf("there is no transport %q", asked.Transport)
}

func trustIn(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool}, nil
}
