package session_test

import (
	"context"
	"fmt"
	"time"

	"github.com/guregu/kami"
	"github.com/guregu/kami/endpoint"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/session"
	"github.com/guregu/kami/session/sessiontest"
)

var Score = session.NewKey[int]("score")

type login struct {
	Name string `json:"name"`
}

type say struct {
	Room string `path:"room" json:"-"`
	Text string `json:"text"`
}

type said struct {
	Who  string `json:"who"`
	Text string `json:"text"`
}

func Example() {
	var sessions session.Pool // a transport has it, such as a node of package peer
	login := func(ctx context.Context, r login) (struct{}, error) {
		s := session.FromContext(ctx)
		Score.Set(s, 100)
		return struct{}{}, s.Bind(ctx, r.Name) // kicks an older session of the user
	}
	join := func(ctx context.Context, r say) (struct{}, error) {
		return struct{}{}, sessions.Group("room."+r.Room).Add(ctx, session.FromContext(ctx))
	}
	say := func(ctx context.Context, r say) (struct{}, error) {
		who := session.FromContext(ctx).UID()
		return struct{}{}, sessions.Group("room."+r.Room).Broadcast(ctx, "said", said{who, r.Text})
	}
	mux := kami.New()
	mux.Post("/login", endpoint.JSON(login))
	mux.Post("/rooms/:room/join", endpoint.JSON(join))
	mux.Post("/rooms/:room/say", endpoint.JSON(say))

	client := sessiontest.Connect(&sessions)
	for _, m := range []*message.Message{
		{Route: "login", Body: []byte(`{"name": "ann"}`)},
		{Route: "rooms.7.join", Body: []byte(`{}`)},
		{Route: "rooms.7.say", Body: []byte(`{"text": "hello"}`)},
	} {
		fmt.Println(m.Route, client.Serve(mux, m).Status)
	}
	fmt.Println(sessiontest.Values[said](client, "said"))
	// Output:
	// login 200
	// rooms.7.join 200
	// rooms.7.say 200
	// [{ann hello}] <nil>
}

func ExamplePool() {
	sessions := session.Pool{
		OnBind: func(_ context.Context, _ *session.Session, uid string) error {
			if uid == "mallory" {
				return endpoint.Error(403, "you are banned")
			}
			return nil
		},
		OnClose:      func(s *session.Session) { fmt.Println(s.UID(), "has left") },
		ResumeWithin: time.Minute,
	}
	ann := sessiontest.Connect(&sessions)
	fmt.Println(ann.Session().Bind(context.Background(), "mallory"))
	fmt.Println(ann.Session().Bind(context.Background(), "ann"))

	ann.Cut()
	missed, err := sessions.Push(context.Background(), "mail", 1, "ann", "bob")
	fmt.Println("not pushed to", missed, err)
	recovered := ann.Resume()
	fmt.Println(recovered, ann.Session().UID(), len(ann.Pushed()))

	_ = sessions.Close(context.Background(), "going down")
	// Output:
	// you are banned
	// <nil>
	// not pushed to [bob] <nil>
	// true ann 1
	// ann has left
}
