package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/guregu/kami/compat/browser"
)

func TestChat(t *testing.T) {
	s, browser := start(t), browser.Start(t)
	ann, bob := enter(t, browser, s, "ann"), enter(t, browser, s, "bob")
	ann.until(`there() == "ann (you)|bob"`)
	bob.until(`there() == "ann|bob (you)"`)

	ann.say("hello")
	bob.until(`said() == "ann: hello"`)
	bob.say("<b>hi</b>") // no markup
	ann.until(`said() == "ann: hello|bob: <b>hi</b>"`)

	cy := enter(t, browser, s, "cy")
	cy.until(`said() == "ann: hello|bob: <b>hi</b>"`) // the history
	ann.run(`document.querySelector('[aria-label="Write to bob alone"]').click()`)
	ann.say("psst")
	ann.until(`document.getElementById("to").textContent == "bob"`)
	bob.until(`said().endsWith("|ann to bob: psst")`)
	ann.run(`document.getElementById("text").dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}))`)
	ann.say("all")
	cy.until(`said() == "ann: hello|bob: <b>hi</b>|ann: all"`) // and not what was for bob

	assert.Equal(t, "0", cy.value(`document.querySelectorAll('[aria-label^="Kick"]').length`), "only the one who came first may kick")
	ann.run(`document.querySelector('[aria-label="Kick cy"]').click()`)
	cy.until(`document.getElementById("refused").textContent == "ann has kicked you."`)
	ann.until(`there() == "ann (you)|bob"`)

	taken := open(t, browser, s)
	taken.hello("bob", "lobby")
	taken.until(`document.getElementById("refused").textContent == "somebody else has this name here"`)
}

// TestChatCut cuts connections while both tabs talk. Both show every line once and in the same order.
func TestChatCut(t *testing.T) {
	s, browser := start(t), browser.Start(t)
	tabs := []*tab{enter(t, browser, s, "ann"), enter(t, browser, s, "bob")}
	lost(t, tabs, func(i int) {
		s.cut(true)
		tabs[i%2].until(`document.getElementById("state").textContent == "connecting…"`)
		tabs[i%2].submit(fmt.Sprint("while cut ", i))
		s.cut(false)
		tabs[1-i%2].until(fmt.Sprintf(`said().includes("while cut %d")`, i))
		s.cut(false)
	})
}

// TestChatRestart replaces the program while both tabs talk. The new one starts before the old one ends, and then after it.
func TestChatRestart(t *testing.T) {
	s, browser := start(t), browser.Start(t)
	tabs := []*tab{enter(t, browser, s, "ann"), enter(t, browser, s, "bob")}
	lost(t, tabs, func(i int) {
		if i%2 == 0 {
			s.roll()
			return
		}
		s.stop()
		tabs[0].submit(fmt.Sprint("while stopped ", i))
		s.run()
	})
}

// lost has both tabs talk while something happens several times, and asserts that no line is lost or shown twice.
func lost(t *testing.T, tabs []*tab, happen func(i int)) {
	for _, tab := range tabs {
		tab.run(`window.n = 0; window.talking = setInterval(() => submit("line " + n++), 20)`)
	}
	for i := range 4 {
		happen(i)
	}
	counts := make([]string, len(tabs))
	for i, tab := range tabs {
		counts[i] = tab.value(`(clearInterval(talking), n)`)
	}
	for _, tab := range tabs {
		tab.submit("done")
	}
	for _, tab := range tabs {
		tab.until(`said().split(": done").length == 3`)
	}
	assert.Equal(t, strings.Split(tabs[0].value(`said()`), "|"), strings.Split(tabs[1].value(`said()`), "|"))
	for i, name := range []string{"ann", "bob"} {
		said := tabs[0].value(fmt.Sprintf(`said().split("|").filter((l) => l.startsWith("%s: line ")).map((l) => l.split(" ").pop()).join(" ")`, name))
		n, err := strconv.Atoi(counts[i])
		require.NoError(t, err)
		for want, got := range strings.Fields(said) {
			if got != strconv.Itoa(want) {
				t.Errorf("line %s of %s comes where line %d belongs", got, name, want)
				break
			}
		}
		assert.Len(t, strings.Fields(said), n, "the lines of %s", name)
		t.Logf("%s has said %s lines", name, counts[i])
		assert.Equal(t, "", tabs[i].value(`document.getElementById("failed").textContent`))
	}
}

// tab is a page in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func open(t *testing.T, browser context.Context, s *server) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b := &tab{t, ctx}
	_, err := chromedp.Run(ctx, chromedp.Navigate(s.URL))
	require.NoError(t, err)
	b.run(`
		window.said = () => [...document.querySelectorAll("#lines li")].map((li) => [...li.childNodes].slice(2).map((n) => n.textContent).join("")).join("|");
		window.submit = (text) => { const input = document.getElementById("text"); input.value = text; input.form.requestSubmit(); };
		window.there = () => [...document.querySelectorAll("#members li")].map((li) => li.firstChild.textContent).join("|");`)
	b.until(`document.getElementById("state").textContent == "connected"`)
	return b
}

// enter opens a page and goes into the lobby.
func enter(t *testing.T, browser context.Context, s *server, name string) *tab {
	t.Helper()
	b := open(t, browser, s)
	b.hello(name, "lobby")
	b.until(`!document.getElementById("room").hidden`)
	return b
}

func (b *tab) hello(name, room string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`{
		const hello = document.getElementById("hello");
		hello.elements.name.value = %s; hello.elements.room.value = %s;
		hello.requestSubmit();
	}`, quoted(name), quoted(room)))
}

// say types a line. The focus must be in the input already.
func (b *tab) say(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.SendKeys("#text", text+"\r")))
}

// submit sends a line at once, without typing.
func (b *tab) submit(text string) { b.run(`submit(` + quoted(text) + `)`) }

// run runs a script.
func (b *tab) run(script string) {
	b.t.Helper()
	b.value(script + `; 0`)
}

// value returns the value of an expression as text.
func (b *tab) value(script string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`String(eval(`+quoted(script)+`))`))
	require.NoError(b.t, err)
	return got
}

// until waits until a condition holds.
func (b *tab) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise((resolve) => {
		const timer = setInterval(() => { if (`+condition+`) { clearInterval(timer); resolve(true); } }, 10);
	})`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, "waiting for %s; the page has at last: %s", condition, b.value(`[said().slice(-200), ...["state", "refused", "failed"].map((id) => document.getElementById(id).textContent)].join(" / ")`))
}

func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}
