package main

// request is a line of the input.
type request struct {
	ID                 int        `json:"id"`
	Op                 string     `json:"op"`
	Client             string     `json:"client"`
	Transport          string     `json:"transport"`
	Port               int        `json:"port"`
	ClientID           string     `json:"client_id"`
	Version            int        `json:"version"`
	Clean              bool       `json:"clean"`
	Username           string     `json:"username"`
	CAFile             string     `json:"ca"`
	SessionExpiry      uint32     `json:"session_expiry"`
	TopicAliases       uint16     `json:"topic_aliases"`
	ReceiveMaximum     uint16     `json:"receive_maximum"`
	ProblemInformation *bool      `json:"problem_information"`
	Will               *will      `json:"will"`
	Filter             string     `json:"filter"`
	Identifier         *int       `json:"identifier"`
	Topic              string     `json:"topic"`
	Payload            []byte     `json:"payload"`
	QoS                byte       `json:"qos"`
	Retain             bool       `json:"retain"`
	Properties         properties `json:"properties"`
}

type will struct {
	Topic      string     `json:"topic"`
	Payload    []byte     `json:"payload"`
	QoS        byte       `json:"qos"`
	Retain     bool       `json:"retain"`
	Delay      *uint32    `json:"delay"`
	Properties properties `json:"properties"`
}

type properties struct {
	User            [][2]string `json:"user,omitempty"`
	ContentType     string      `json:"content_type,omitempty"`
	ResponseTopic   string      `json:"response_topic,omitempty"`
	CorrelationData []byte      `json:"correlation_data,omitempty"`
	Expiry          *uint32     `json:"expiry,omitempty"`
	SubscriptionIDs []int       `json:"subscription_ids,omitempty"`
}

// response answers a request.
type response struct {
	ID             int    `json:"id"`
	Error          string `json:"error,omitempty"`
	SessionPresent *bool  `json:"session_present,omitempty"`
	AssignedID     string `json:"assigned_id,omitempty"`
	Codes          []int  `json:"codes,omitempty"`
	Code           byte   `json:"code"`
	Reason         string `json:"reason,omitempty"`
}

// message is what a client has received.
type message struct {
	Client     string     `json:"client"`
	Topic      string     `json:"topic"`
	Payload    []byte     `json:"payload"`
	QoS        byte       `json:"qos"`
	Retain     bool       `json:"retain"`
	Properties properties `json:"properties"`
}

// orEmpty keeps JSON from showing an absent payload as null.
func orEmpty(payload []byte) []byte {
	if payload == nil {
		return []byte{}
	}
	return payload
}
