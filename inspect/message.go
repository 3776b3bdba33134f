package inspect

import (
	"net/http"
	"slices"
	"strings"

	"github.com/guregu/kami"
	"github.com/guregu/kami/message"
	"github.com/guregu/kami/treemux"
)

// route is a route and its name for messages.
type route struct {
	kami.Route
	Message string `json:"message,omitempty"` // see messageName
}

func newRoute(r kami.Route) route { return route{r, messageName(r)} }

// messageName returns the name of the route for messages: room.:id.join for POST /room/:id/join. Params are written as in the pattern,
// and so is a colon that begins ordinary text. Dots in their names are escaped, as in a message's route. It returns "" for a route that
// messages cannot reach: they are POST requests, and some paths have no route of messages.
func messageName(r kami.Route) string {
	subject := message.Subject(r.Pattern)
	pattern, err := treemux.Parse(r.Pattern)
	if subject == "" || err != nil || r.Method != http.MethodPost && r.Method != "*" {
		return ""
	}
	name := strings.Split(subject, ".")
	example := slices.Clone(name)
	for i, segment := range pattern.Segments {
		switch escaped := strings.ReplaceAll(segment.Text, ".", "%2E"); {
		case segment.Kind == treemux.Param:
			name[i], example[i] = ":"+escaped, "x"
		case segment.Kind == treemux.CatchAll:
			name[i], example[i] = "*"+escaped, "x"
		case strings.HasPrefix(strings.TrimLeft(name[i], `\`), ":"):
			name[i] = `\` + name[i]
		}
	}
	if _, err := message.Path(strings.Join(example, ".")); err != nil {
		return ""
	}
	return strings.Join(name, ".")
}
