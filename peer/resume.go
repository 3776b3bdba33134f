package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
)

// resumeParams are the params of kami.resume, and resumeResult its result: the next push has the number Seq + 1.
type resumeParams struct {
	Token string `json:"token"`
	Seq   uint64 `json:"seq"`
}

type resumeResult struct {
	Recovered bool   `json:"recovered"`
	Token     string `json:"token"`
	Seq       uint64 `json:"seq"`
}

// resume answers the first call of a connection, if it is kami.resume: its session goes on where another connection of the client
// has ended. The answer goes first, then what the client has missed, then new pushes.
func (l *link) resume(in *incoming) *message.Reply {
	var params resumeParams
	switch {
	case !in.alone || in.batch != nil:
		return fail(http.StatusConflict, methodResume+" must be the first call of a connection, and not in a batch")
	case in.message.Body != nil && json.Unmarshal(in.message.Body, &params) != nil:
		return fail(http.StatusBadRequest, "the params of "+methodResume+" must be a token and a seq")
	}
	s, missed, recovered := l.node.Sessions.Resume(params.Token, params.Seq, l)
	l.enter(s, l.upgrade)
	result := resumeResult{recovered, s.Token(), params.Seq}
	if !recovered {
		result.Seq = s.Seq()
	}
	l.seq = result.Token != ""
	in.after = func() {
		l.replay(missed, params.Seq)
		s.Resumed(l)
	}
	body, _ := json.Marshal(result)
	return &message.Reply{Status: http.StatusOK, Body: body}
}

// replay sends pushes that the client has missed.
func (l *link) replay(missed []*message.Message, seq uint64) {
	for _, m := range missed {
		seq++
		if err := l.out.write(l.pushFrame(m, seq), true); err != nil {
			l.broken(err)
			return
		}
	}
}

func appendSeq(b []byte, seq uint64) []byte {
	return strconv.AppendUint(append(b, `,"seq":`...), seq, 10)
}

// fits reports whether the identity is the user of the session. If not, it closes the connection.
func (l *link) fits(s *session.Session, ctx context.Context) bool {
	subject, uid := session.Subject(ctx), s.UID()
	if subject == "" || uid == "" || subject == uid {
		return true
	}
	l.closeWith(closePolicy, "another user than the session's was authenticated")
	return false
}

// authParams are the params of kami.auth.
type authParams struct {
	Scheme     string `json:"scheme"`
	Credential string `json:"credential"`
}

// authenticate answers kami.auth: later messages have the identity of the credential.
func (l *link) authenticate(in *incoming) *message.Reply {
	var params authParams
	if json.Unmarshal(in.message.Body, &params) != nil || params.Scheme == "" {
		return fail(http.StatusBadRequest, fmt.Sprintf("the params of %s must be a scheme and a credential", methodAuth))
	}
	ctx, err := l.node.authenticated(l.upgrade, params.Scheme, params.Credential)
	if err != nil {
		return failed(in, l.node.refused(err, params.Scheme, l.remote))
	}
	s := l.session()
	if !l.fits(s, ctx) {
		return fail(http.StatusForbidden, "the session is somebody else's")
	}
	l.enter(s, ctx)
	return &message.Reply{Status: http.StatusNoContent}
}
