package cluster

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/guregu/kami/message"
)

// Protobuf is the Codec of Protocol Buffers, application/protobuf, for values that are a proto.Message. All others are refused.
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

// protoOf returns the message that v is, or points to.
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
