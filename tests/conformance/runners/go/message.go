package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/reflect/protoreflect"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
	pb "github.com/tallykeeper/tallykeeper/client/go/tallykeeperv1"
)

// message is a message of the harness. Each action has some of the fields.
type message struct {
	ID     int    `json:"id"`
	Do     string `json:"do"`
	Client string `json:"client"`

	Address   string  `json:"address"`
	Namespace *string `json:"namespace"`
	Token     *string `json:"token"`
	CAFile    *string `json:"ca_file"`
	CertFile  *string `json:"cert_file"`
	KeyFile   *string `json:"key_file"`
	Retry     *bool   `json:"retry"`
	TimeoutMS *int64  `json:"timeout_ms"`

	Method     string            `json:"method"`
	Request    json.RawMessage   `json:"request"`
	Operations []json.RawMessage `json:"operations"`
	Mode       string            `json:"mode"`
	Watch      int               `json:"watch"`
}

// unknownMessage is the error of a message that this runner does not understand.
type unknownMessage string

func (e unknownMessage) Error() string { return string(e) }

func unknown(format string, values ...any) error {
	return unknownMessage(fmt.Sprintf(format, values...))
}

// parseMessage always returns a message. With an error, the message has only the id.
func parseMessage(line []byte) (*message, error) {
	m := &message{}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil {
		known := &message{}
		json.Unmarshal(line, known)
		return &message{ID: known.ID}, unknown("%s", err)
	}
	return m, nil
}

// options returns the options of a client.
func (m *message) options() []tallykeeper.Option {
	var options []tallykeeper.Option
	if m.Namespace != nil {
		options = append(options, tallykeeper.WithNamespace(*m.Namespace))
	}
	if m.Token != nil {
		options = append(options, tallykeeper.WithToken(*m.Token))
	}
	if m.CAFile != nil {
		options = append(options, tallykeeper.WithCAFile(*m.CAFile))
	}
	if m.CertFile != nil && m.KeyFile != nil {
		options = append(options, tallykeeper.WithClientCertificate(*m.CertFile, *m.KeyFile))
	}
	if m.TimeoutMS != nil {
		options = append(options, tallykeeper.WithTimeout(time.Duration(*m.TimeoutMS)*time.Millisecond))
	}
	if m.Retry != nil && !*m.Retry {
		options = append(options, tallykeeper.WithoutRetries())
	}
	return options
}

// errorJSON returns an error as the harness compares it.
func errorJSON(err error) map[string]any {
	reply := map[string]any{
		"reason": "", "values": map[string]string{}, "message": err.Error(), "type": fmt.Sprintf("%T", err),
	}
	var failed *tallykeeper.CallError
	switch {
	case errors.As(err, new(unknownMessage)):
		reply["code"] = "INVALID_RUNNER_MESSAGE"
	case errors.As(err, &failed):
		addCallError(reply, err, failed)
	default: // an option of the client, or an address, that the SDK refuses
		reply["code"] = code.Code_INVALID_ARGUMENT.String()
	}
	return reply
}

func addCallError(reply map[string]any, err error, failed *tallykeeper.CallError) {
	reply["code"] = code.Code(failed.Code).String()
	reply["reason"] = failed.Reason
	reply["message"] = failed.Message
	if failed.Values != nil {
		reply["values"] = failed.Values
	}
	if failed.RetryAfter != 0 {
		reply["retry_after_ms"] = failed.RetryAfter.Milliseconds()
	}
	switch err := err.(type) {
	case *tallykeeper.InsufficientStockError:
		reply["shortages"] = shortagesJSON(err.Shortages, "available", "backorder_limit")
	case *tallykeeper.CommitExceedsReservedError:
		reply["shortages"] = shortagesJSON(err.Shortages, "reserved")
	case *tallykeeper.InvalidFieldError:
		violations := []map[string]string{}
		for _, each := range err.Violations {
			violations = append(violations, map[string]string{"field": each.Field, "description": each.Description})
		}
		reply["field_violations"] = violations
	}
}

// shortagesJSON returns the lines of a shortage, with the numbers that belong to its reason.
func shortagesJSON(shortages []*pb.Shortage, numbers ...protoreflect.Name) []map[string]string {
	lines := []map[string]string{}
	for _, shortage := range shortages {
		line := map[string]string{}
		message := shortage.ProtoReflect()
		for _, name := range append([]protoreflect.Name{"item", "location", "requested"}, numbers...) {
			line[string(name)] = message.Get(message.Descriptor().Fields().ByName(name)).String()
		}
		lines = append(lines, line)
	}
	return lines
}
