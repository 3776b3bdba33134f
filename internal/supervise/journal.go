//go:build unix

package supervise

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"
)

// journal collects the output of a process, as lines, or its messages. It can wait for an entry. The zero journal is empty.
type journal struct {
	mu      sync.Mutex
	entries []string
	rest    []byte        // of a line that has not ended
	grown   chan struct{} // closed at the next entry; nil if no goroutine waits
}

// Write adds the lines that end in text.
func (j *journal) Write(text []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, text...)
	for {
		end := bytes.IndexByte(j.rest, '\n') + 1
		if end == 0 {
			return len(text), nil
		}
		j.add(string(j.rest[:end]))
		j.rest = j.rest[end:]
	}
}

// message adds an entry.
func (j *journal) message(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(entry)
}

func (j *journal) add(entry string) {
	j.entries = append(j.entries, entry)
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.entries, "") + string(j.rest)
}

// await waits for an entry that matches, after the first ones, until the limit, or until no more entries come.
func (j *journal) await(first int, match func(string) bool, limit time.Duration, end <-chan struct{}) (string, bool) {
	timeout := time.After(limit)
	for over := false; ; {
		entry, found, grown := j.find(first, match)
		if found || over {
			return entry, found
		}
		select {
		case <-grown:
		case <-end:
			over = true
		case <-timeout:
			over = true
		}
	}
}

func (j *journal) find(first int, match func(string) bool) (entry string, found bool, grown <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.IndexFunc(j.entries[first:], match); i >= 0 {
		return j.entries[first+i], true, nil
	}
	if j.grown == nil {
		j.grown = make(chan struct{})
	}
	return "", false, j.grown
}
