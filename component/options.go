package component

import (
	"errors"
	"fmt"
	"strings"

	"github.com/guregu/kami/message"
)

// Option is a setting of [Set.Register].
type Option func(*options)

// options are what Options set.
type options struct {
	name     *string
	nameFunc func(string) string
	prefix   string
	codecs   codecs
	err      error // of the first wrong option
}

func newOptions(opts []Option) (options, error) {
	o := options{nameFunc: func(name string) string { return name }, codecs: codecs{message.JSON}}
	for _, set := range opts {
		if set == nil {
			return o, errors.New("an option must not be nil")
		}
		set(&o)
	}
	return o, o.err
}

// WithName sets the component's name. By default it is the name of its type.
func WithName(name string) Option { return func(o *options) { o.name = &name } }

// WithNameFunc sets a function that makes a method's name of its Go name, such as strings.ToLower. By default it is the Go name.
func WithNameFunc(f func(string) string) Option {
	return func(o *options) {
		if f == nil {
			o.refuse(errors.New("the function of WithNameFunc must not be nil"))
			return
		}
		o.nameFunc = f
	}
}

// WithPrefix sets a prefix of the name: one segment, or several with slashes between them.
func WithPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithCodecs adds codecs, by their content types, to message.JSON. A codec for application/json replaces message.JSON.
func WithCodecs(all ...message.Codec) Option {
	return func(o *options) {
		for _, c := range all {
			var err error
			if o.codecs, err = o.codecs.with(c); err != nil {
				o.refuse(err)
			}
		}
	}
}

func (o *options) refuse(err error) {
	if o.err == nil {
		o.err = err
	}
}

// segments returns the segments of the path of a component whose type has the name.
func (o *options) segments(typeName string) ([]string, error) {
	var all []string
	if prefix := strings.Trim(o.prefix, "/"); prefix != "" {
		all = strings.Split(prefix, "/")
	}
	if o.name != nil {
		typeName = *o.name
	}
	all = append(all, typeName)
	for _, s := range all {
		if err := checkSegment(s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func checkSegment(s string) error {
	if s == "" || s == "." || s == ".." || strings.Contains(s, "/") {
		return fmt.Errorf("%q is no segment of a path: a name must not be empty, a dot segment, or have a slash", s)
	}
	return nil
}
