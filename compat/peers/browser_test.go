package peers

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami"
	"github.com/guregu/kami/compat/browser"
	"github.com/guregu/kami/peer"
)

// page serves a page that imports the programs of testdata unchanged. They find kami.js at its path in the repository. Node's own
// modules are empty there.
func page(mux *kami.Mux) {
	const html = `<!doctype html><title>peers</title><link rel="icon" href="data:,"><script type="importmap">{"imports": {
		"node:net": "data:text/javascript,export default {}",
		"ws": "data:text/javascript,export default undefined; export const WebSocketServer = undefined"
	}}</script>`
	mux.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, html)
	})
	mux.Get("/peer/client/kami.js", peer.Client())
	for _, program := range []string{"kami.mjs", "load.mjs"} {
		mux.Get("/compat/peers/testdata/"+program, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			http.ServeFile(w, r, "testdata/"+program)
		})
	}
}

// onlyNode has the cases that need a server in the program, or an address without a page's origin.
var onlyNode = []string{"unrun", "mistakes", "abortConnect"}

// TestKamiJSInChromium runs the cases of testdata/kami.mjs in a page, which gets the script from peer.Client.
func TestKamiJSInChromium(t *testing.T) {
	browser := browser.Start(t)
	for _, test := range kamiCases {
		if slices.Contains(onlyNode, test.name) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			tab, cancel := chromedp.NewContext(browser)
			defer cancel()
			ctx, done := context.WithTimeout(tab, limit)
			defer done()
			_, err := chromedp.Run(ctx, chromedp.Navigate(s.URL))
			require.NoError(t, err)
			got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`import("/compat/peers/testdata/kami.mjs")
				.then(({cases}) => cases["`+test.name+`"]("/kite", "node"))
				.then((result) => JSON.stringify(result))`, chromedp.EvalAwaitPromise))
			require.NoError(t, err)
			assert.JSONEq(t, test.want, got)
		})
	}
}

// TestKamiJSOtherOrigin checks that a page of another origin is refused.
func TestKamiJSOtherOrigin(t *testing.T) {
	browser, s, other := browser.Start(t), start(t), start(t)
	ctx, cancel := context.WithTimeout(browser, limit)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Navigate(s.URL))
	require.NoError(t, err)
	address, _ := json.Marshal(other.address())
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`import("/peer/client/kami.js")
		.then(({connect}) => connect(`+string(address)+`, {reconnect: false}))
		.then(() => "connected", ({close}) => String(close.code))`, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	assert.Equal(t, "1006", got)
}
