package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// keep is how many lines are kept in memory, and are there for clients that come back.
const keep = 10_000

// line is a line of the chat. To is set in a private line.
type line struct {
	ID   int64     `json:"id"` // its place in the file: the same for all processes
	Room string    `json:"room"`
	From string    `json:"from"`
	To   string    `json:"to,omitempty"`
	For  []string  `json:"for,omitempty"` // of a private line: marks of those two, see owner
	Text string    `json:"text"`
	Mark string    `json:"mark,omitempty"` // the client's own name for the line: one that is sent twice is told once
	Kick bool      `json:"kick,omitempty"` // From has put To out of the room
	At   time.Time `json:"at"`
}

// visible reports whether the line is for an owner in the room.
func (l line) visible(room, owner string) bool {
	return l.Room == room && !l.Kick && (l.To == "" || slices.Contains(l.For, owner))
}

// owner returns a hash of a client's key. It tells clients with the same name apart in the history, which must not have the secret keys.
func owner(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// mark tells the lines of a client apart.
type mark struct{ from, mark string }

// history is the file that all lines go through, in the order in which it has them. In a rolling restart two processes share it:
// each appends to it, and tells its own clients of new lines.
type history struct {
	file *os.File

	mu    sync.Mutex
	lines []line
	marks map[mark]bool // of lines
	read  int64         // bytes of the file that lines has
}

func openHistory(name string) (*history, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	h := &history{file: file, marks: make(map[mark]bool)}
	_, err = h.more()
	return h, err
}

// say appends a line.
func (h *history) say(l line) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	// In one write, so that no other process's is within it, and on a line of its own, for a crash may have cut the last one short.
	_, err = h.file.Write(fmt.Appendf(nil, "\n%s\n", data))
	return err
}

// more returns the lines that have been appended since it was called last.
func (h *history) more() ([]line, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	data, err := io.ReadAll(io.NewSectionReader(h.file, h.read, 1<<62))
	if err != nil {
		return nil, err
	}
	var news []line
	for {
		text, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			break
		}
		h.read += int64(len(text)) + 1
		data = rest
		var l line
		if json.Unmarshal(text, &l) != nil || l.Mark != "" && h.marks[mark{l.From, l.Mark}] {
			continue // nothing, a write that a crash has cut short, or a line that was sent again
		}
		l.ID = h.read
		news = append(news, l)
		h.marks[mark{l.From, l.Mark}] = true
	}
	h.lines = append(h.lines, news...)
	if n := len(h.lines) - keep; n > 0 {
		for _, l := range h.lines[:n] {
			delete(h.marks, mark{l.From, l.Mark})
		}
		h.lines = slices.Delete(h.lines, 0, n)
	}
	return news, nil
}

// since returns the lines after one, as their owner in the room may see them.
func (h *history) since(room, owner string, id int64) []line {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := []line{}
	for _, l := range h.lines {
		if l.ID > id && l.visible(room, owner) {
			found = append(found, l)
		}
	}
	return found
}

func (h *history) close() error {
	if err := h.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
