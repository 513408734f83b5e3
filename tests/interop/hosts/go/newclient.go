package main

import (
	"context"
	"net"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// newClient speaks MQTT 5.0.
type newClient struct {
	name       string
	deliver    func(message)
	client     *paho.Client
	connection net.Conn
	topics     map[uint16]string
}

func (c *newClient) connect(asked request) (response, error) {
	connection, err := dial(asked)
	if err != nil {
		return response{}, err
	}
	c.connection = connection
	c.topics = map[uint16]string{}
	c.client = paho.NewClient(paho.ClientConfig{
		ClientID:      asked.ClientID,
		Conn:          packets.NewThreadSafeConn(connection),
		PacketTimeout: limit,
		Router:        paho.NewSingleHandlerRouter(c.onMessage),
	})
	waiting, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	accepted, err := c.client.Connect(waiting, toConnect(asked))
	if err != nil {
		return response{}, err
	}
	answer := response{SessionPresent: &accepted.SessionPresent}
	if accepted.Properties != nil {
		answer.AssignedID = accepted.Properties.AssignedClientID
	}
	return answer, nil
}

func (c *newClient) subscribe(asked request) (response, error) {
	wanted := &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: asked.Filter, QoS: asked.QoS}},
		Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: asked.Identifier},
	}
	got, err := c.client.Subscribe(context.Background(), wanted)
	if got == nil {
		return response{}, err
	}
	return response{Codes: []int{int(got.Reasons[0])}}, nil
}

func (c *newClient) publish(asked request) (response, error) {
	given := asked.Properties
	got, err := c.client.Publish(context.Background(), &paho.Publish{
		Topic:   asked.Topic,
		Payload: asked.Payload,
		QoS:     asked.QoS,
		Retain:  asked.Retain,
		Properties: &paho.PublishProperties{
			User:            toUser(given.User),
			ContentType:     given.ContentType,
			ResponseTopic:   given.ResponseTopic,
			CorrelationData: given.CorrelationData,
			MessageExpiry:   given.Expiry,
		},
	})
	if got == nil {
		return response{}, err
	}
	answer := response{Code: got.ReasonCode}
	if got.Properties != nil {
		answer.Reason = got.Properties.ReasonString
	}
	return answer, nil
}

func (c *newClient) disconnect() error {
	return c.client.Disconnect(&paho.Disconnect{})
}

func (c *newClient) abort() error {
	return c.connection.Close()
}

// onMessage is called by one goroutine; the library leaves Topic Aliases to us.
func (c *newClient) onMessage(seen *paho.Publish) {
	more := seen.Properties
	topic := seen.Topic
	if more.TopicAlias != nil && topic != "" {
		c.topics[*more.TopicAlias] = topic
	} else if more.TopicAlias != nil {
		topic = c.topics[*more.TopicAlias]
	}
	found := properties{
		ContentType:     more.ContentType,
		ResponseTopic:   more.ResponseTopic,
		CorrelationData: more.CorrelationData,
		Expiry:          more.MessageExpiry,
	}
	for _, pair := range more.User {
		found.User = append(found.User, [2]string{pair.Key, pair.Value})
	}
	if more.SubscriptionIdentifier != nil {
		found.SubscriptionIDs = []int{*more.SubscriptionIdentifier}
	}
	c.deliver(message{c.name, topic, orEmpty(seen.Payload), seen.QoS, seen.Retain, found})
}

func toConnect(asked request) *paho.Connect {
	made := &paho.Connect{
		ClientID:     asked.ClientID,
		Username:     asked.Username,
		UsernameFlag: true,
		CleanStart:   asked.Clean,
		KeepAlive:    60,
		Properties:   &paho.ConnectProperties{RequestProblemInfo: true},
	}
	if asked.SessionExpiry != 0 {
		made.Properties.SessionExpiryInterval = &asked.SessionExpiry
	}
	if asked.TopicAliases != 0 {
		made.Properties.TopicAliasMaximum = &asked.TopicAliases
	}
	if asked.ReceiveMaximum != 0 {
		made.Properties.ReceiveMaximum = &asked.ReceiveMaximum
	}
	if asked.ProblemInformation != nil {
		made.Properties.RequestProblemInfo = *asked.ProblemInformation
	}
	if given := asked.Will; given != nil {
		made.WillMessage = &paho.WillMessage{
			Topic:   given.Topic,
			Payload: given.Payload,
			QoS:     given.QoS,
			Retain:  given.Retain,
		}
		made.WillProperties = &paho.WillProperties{
			WillDelayInterval: given.Delay,
			User:              toUser(given.Properties.User),
			ContentType:       given.Properties.ContentType,
			ResponseTopic:     given.Properties.ResponseTopic,
			CorrelationData:   given.Properties.CorrelationData,
			MessageExpiry:     given.Properties.Expiry,
		}
	}
	return made
}

func toUser(pairs [][2]string) paho.UserProperties {
	var made paho.UserProperties
	for _, pair := range pairs {
		made.Add(pair[0], pair[1])
	}
	return made
}
