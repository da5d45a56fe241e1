package main

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
)

// invoke calls a method, such as "CounterService.Increment", through the client's field of that name.
func invoke(ctx context.Context, client *tallykeeper.Client, name string, requestJSON json.RawMessage) (any, error) {
	service, methodName, _ := strings.Cut(name, ".")
	field := reflect.ValueOf(client).Elem().FieldByName(service)
	if !field.IsValid() || !strings.HasSuffix(service, "Service") {
		return nil, unknown("there is no method %q", name)
	}
	method := field.MethodByName(methodName)
	if !method.IsValid() || method.Type().Out(0).Kind() != reflect.Pointer {
		return nil, unknown("there is no unary method %q", name)
	}
	request := reflect.New(method.Type().In(1).Elem())
	if requestJSON != nil {
		if err := protojson.Unmarshal(requestJSON, request.Interface().(proto.Message)); err != nil {
			return nil, unknown("%s", err)
		}
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	err, _ := results[1].Interface().(error)
	return responseJSON(results[0].Interface().(proto.Message), err)
}

// responseJSON returns a response as protobuf JSON.
func responseJSON(response proto.Message, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(response)
	return json.RawMessage(text), err
}
