package cluster

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/guregu/kami/message"
)

// Protobuf is the Codec of Protocol Buffers, application/protobuf, for values that are a proto.Message. It refuses all other values.
var Protobuf message.Codec = protobufCodec{}

type protobufCodec struct{}

func (protobufCodec) ContentType() string { return "application/protobuf" }

func (protobufCodec) Marshal(v any) ([]byte, error) {
	m, err := protoOf(v)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(m)
}

func (protobufCodec) Unmarshal(data []byte, v any) error {
	m, err := protoOf(v)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, m)
}

// protoOf returns v, or the value that v points to, as a message.
func protoOf(v any) (proto.Message, error) {
	if m, ok := v.(proto.Message); ok {
		return m, nil
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() && p.Elem().Kind() == reflect.Pointer {
		if m, ok := p.Elem().Interface().(proto.Message); ok {
			return m, nil
		}
	}
	return nil, fmt.Errorf("cluster: %T is no proto.Message, which the codec Protobuf is for", v)
}
