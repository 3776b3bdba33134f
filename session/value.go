package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"unicode/utf8"
)

// Key is a value that sessions may have:
//
//	var Level = session.NewKey[int]("level")
//
// Between servers values travel as JSON. So two Keys with the same name, and types with the same JSON, are one value. The data that a value
// refers to must not change after Set, neither directly nor through the result of Get.
type Key[T any] struct{ name string }

// NewKey returns the Key with the name. It panics if the name is empty or not UTF-8.
func NewKey[T any](name string) Key[T] {
	if name == "" || !utf8.ValidString(name) {
		panic(fmt.Sprintf("session: NewKey(%q): the name must be UTF-8 and not empty", name))
	}
	return Key[T]{name}
}

// Get returns the session's value. It returns false if there is none, or if it is no T.
func (k Key[T]) Get(s *Session) (T, bool) {
	v := s.value(k.name)
	if v == nil {
		return *new(T), false
	}
	if typed, ok := v.typed.(*T); ok {
		return *typed, true
	}
	text, err := v.encode()
	if err != nil {
		return *new(T), false
	}
	var decoded T
	if json.Unmarshal(text, &decoded) != nil {
		return *new(T), false
	}
	return decoded, true
}

// Set sets the value. At a back end it is lost at the end of the message without [Session.Commit]. A value whose JSON is null is deleted
// when it travels to another server.
func (k Key[T]) Set(s *Session, v T) { s.set(k.name, &value{typed: &v}) }

// Delete deletes the value. At a back end it needs [Session.Commit], as Set does.
func (k Key[T]) Delete(s *Session) { s.set(k.name, nil) }

// value is a value of a session. It does not change.
type value struct {
	typed any // a pointer to a Key's type; nil if it came as JSON
	text  atomic.Pointer[json.RawMessage]
}

// encode returns the value as JSON, encoded once.
func (v *value) encode() (json.RawMessage, error) {
	if text := v.text.Load(); text != nil {
		return *text, nil
	}
	text, err := marshal(v.typed)
	if err != nil {
		return nil, err
	}
	v.text.Store(&text)
	return text, nil
}

// marshal is json.Marshal that returns a panic of the value's own code as an error: transports encode values, and have no PanicHandler.
func marshal(v any) (text json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("its JSON method panicked: %v", v)
		}
	}()
	return json.Marshal(v)
}

// encodedValue returns the value with that JSON, or nil for null.
func encodedValue(text json.RawMessage) *value {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	v := new(value)
	v.text.Store(&text)
	return v
}

// values are the values of a session by their keys. There are few: a slice takes less memory than a map.
type values []entry

type entry struct {
	key   string
	value *value // nil for one that was deleted
}

func (all values) index(key string) int {
	return slices.IndexFunc(all, func(e entry) bool { return e.key == key })
}

// with returns the values with one set.
func (all values) with(key string, v *value) values {
	if i := all.index(key); i >= 0 {
		all[i].value = v
		return all
	}
	return append(all, entry{key, v})
}

// without returns the values without one.
func (all values) without(key string) values {
	return slices.DeleteFunc(all, func(e entry) bool { return e.key == key })
}

// encode returns the values as JSON. Deleted values are null. Its error names the key.
func (all values) encode() (map[string]json.RawMessage, error) {
	if len(all) == 0 {
		return nil, nil
	}
	texts := make(map[string]json.RawMessage, len(all))
	for _, e := range all {
		text := json.RawMessage("null")
		if e.value != nil {
			var err error
			if text, err = e.value.encode(); err != nil {
				return nil, fmt.Errorf("session: encoding the value of key %q: %w", e.key, err)
			}
		}
		texts[e.key] = text
	}
	return texts, nil
}

func (s *Session) value(key string) *value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.values.index(key); i >= 0 {
		return s.values[i].value
	}
	return nil
}

func (s *Session) set(key string, v *value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(key, v)
	if s.back != nil {
		s.back.changed = s.back.changed.with(key, v)
	}
}

// setLocked is set for callers that have the lock. A nil value is deleted.
func (s *Session) setLocked(key string, v *value) {
	if v == nil {
		s.values = s.values.without(key)
		return
	}
	s.values = s.values.with(key, v)
}

// Snapshot is the data of a session for another server. It may travel as JSON.
type Snapshot struct {
	ID     string                     `json:"id"`
	UID    string                     `json:"uid,omitempty"`
	Front  string                     `json:"front,omitempty"`
	Values map[string]json.RawMessage `json:"values,omitempty"`
}

// Snapshot returns the data of the session that another server needs. It is for transports. Its error names the key of a value that cannot be
// encoded.
func (s *Session) Snapshot() (Snapshot, error) {
	s.mu.Lock()
	uid, all := s.uid, slices.Clone(s.values)
	s.mu.Unlock()
	texts, err := all.encode()
	return Snapshot{ID: s.id, UID: uid, Front: s.Front(), Values: texts}, err
}

// Apply sets values that a back end has committed; null deletes. It is for transports. If it returns an error, which names the key of a value
// that is not JSON, nothing has changed.
func (s *Session) Apply(values map[string]json.RawMessage) error {
	for key, text := range values {
		if len(text) > 0 && !json.Valid(text) {
			return fmt.Errorf("session: applying the value of key %q: it is not JSON", key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	for key, text := range values {
		s.setLocked(key, encodedValue(text))
	}
	return nil
}

// Commit sends the values that were set or deleted at a back end to the front, all or none. Handlers there call it before they
// return. Its error names the key of a value that cannot be encoded, or is the transport's. At the front it does nothing.
func (s *Session) Commit(ctx context.Context) error {
	if s.back == nil {
		return nil
	}
	s.mu.Lock()
	changed := slices.Clone(s.back.changed)
	s.mu.Unlock()
	texts, err := changed.encode()
	if err != nil || len(texts) == 0 {
		return err
	}
	if err := s.back.link.Commit(ctx, texts); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back.changed = slices.DeleteFunc(s.back.changed, func(e entry) bool { return slices.Contains(changed, e) })
	return nil
}
