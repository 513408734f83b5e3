package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// oldClient speaks MQTT 3.1.1.
type oldClient struct {
	name       string
	deliver    func(message)
	client     mqtt.Client
	connection net.Conn
}

func (c *oldClient) connect(asked request) (response, error) {
	options := mqtt.NewClientOptions()
	// The library wants a URL, and gets its connection from us.
	options.AddBroker(fmt.Sprintf("tcp://127.0.0.1:%d", asked.Port))
	options.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		connection, err := dial(asked)
		c.connection = connection
		return connection, err
	})
	options.SetProtocolVersion(4)
	options.SetClientID(asked.ClientID)
	options.SetUsername(asked.Username)
	options.SetCleanSession(asked.Clean)
	options.SetAutoReconnect(false)
	options.SetDefaultPublishHandler(c.onMessage)
	if given := asked.Will; given != nil {
		options.SetBinaryWill(given.Topic, given.Payload, given.QoS, given.Retain)
	}
	c.client = mqtt.NewClient(options)
	token := c.client.Connect().(*mqtt.ConnectToken)
	if err := wait(token); err != nil {
		return response{}, err
	}
	present := token.SessionPresent()
	return response{SessionPresent: &present}, nil
}

func (c *oldClient) subscribe(asked request) (response, error) {
	token := c.client.Subscribe(asked.Filter, asked.QoS, nil).(*mqtt.SubscribeToken)
	if err := wait(token); err != nil {
		return response{}, err
	}
	return response{Codes: []int{int(token.Result()[asked.Filter])}}, nil
}

func (c *oldClient) publish(asked request) (response, error) {
	token := c.client.Publish(asked.Topic, asked.QoS, asked.Retain, orEmpty(asked.Payload))
	return response{}, wait(token)
}

func (c *oldClient) disconnect() error {
	c.client.Disconnect(uint(limit.Milliseconds()))
	return nil
}

func (c *oldClient) abort() error {
	return c.connection.Close()
}

func (c *oldClient) onMessage(_ mqtt.Client, seen mqtt.Message) {
	c.deliver(message{
		Client:  c.name,
		Topic:   seen.Topic(),
		Payload: orEmpty(seen.Payload()),
		QoS:     seen.Qos(),
		Retain:  seen.Retained(),
	})
}

func wait(token mqtt.Token) error {
	if !token.WaitTimeout(limit) {
		return errors.New("no acknowledgement")
	}
	return token.Error()
}
