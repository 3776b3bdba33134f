package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// errUnasked says that a server sends bytes that belong to no request.
var errUnasked = errors.New("the server has sent bytes that nobody asked for")

// wire is a client of bare HTTP/1.1.
type wire struct {
	run  *run
	conn *conn // nil if the next request is to open one
	in   *bufio.Reader
}

func (w *wire) send(id string, deadline time.Time) (served int, err error) {
	if err = w.connect(); err == nil {
		served = int(w.conn.served.Load())
		err = w.exchange(id, deadline)
	}
	if err != nil {
		w.close()
	}
	return served, err
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// connect sees to a connection for the next request.
func (w *wire) connect() error {
	if w.conn != nil && w.run.Mode == KeepAliveLooking {
		if gone, err := closed(w.conn.Conn); err != nil {
			return err
		} else if gone {
			w.close()
		}
	}
	if w.conn != nil {
		return nil
	}
	c, err := w.run.dial(context.Background(), "tcp", w.run.Address)
	if err != nil {
		return err
	}
	w.conn, w.in = c.(*conn), bufio.NewReader(c)
	return nil
}

// exchange sends a request and reads its answer.
func (w *wire) exchange(id string, deadline time.Time) error {
	if err := w.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := w.write(id); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	if _, err := w.in.Peek(1); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return fmt.Errorf("in the header of the answer: %w", err)
	}
	if err := w.run.verify(id, "HTTP/1.1", response); err != nil {
		return err
	}
	if w.in.Buffered() > 0 {
		return errUnasked
	}
	w.conn.served.Add(1)
	if response.Close || w.run.Mode == NewConnection {
		w.close()
	}
	return nil
}

// write writes a request in one piece.
func (w *wire) write(id string) error {
	var end string
	if w.run.Mode == NewConnection {
		end = "Connection: close\r\n"
	}
	_, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n%s\r\n",
		w.run.Path, w.run.Address, IDHeader, id, end)
	return err
}
